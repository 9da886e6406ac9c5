"""All experiments, in the order in which they run.

Sending comes first, before any worker is there: right after drains, what Postgres still had to tidy up halved the rates
of calls. What the others share is warmed up by the first of them.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench.experiments.bulk import Bulk
from benchmarks.bench.experiments.events import Events
from benchmarks.bench.experiments.experiment import Experiment
from benchmarks.bench.experiments.growth import Growth, Memory
from benchmarks.bench.experiments.latency import Latency
from benchmarks.bench.experiments.merging import Merging
from benchmarks.bench.experiments.sending import Sending
from benchmarks.bench.experiments.singles import Singles

EXPERIMENTS: Final[tuple[Experiment, ...]] = (
    Sending(),
    Singles(),
    Bulk(),
    Latency(),
    Events(),
    Growth(),
    Merging(),
    Memory(),
)
