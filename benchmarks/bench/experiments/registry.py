"""All experiments, in the order in which they run.

Starting and publishing come first, before any worker runs: right after drains, Postgres' background work halved the
rates of calls. The first of the others warms up what they share.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench.experiments.bulk import Bulk
from benchmarks.bench.experiments.events import Events
from benchmarks.bench.experiments.experiment import Experiment
from benchmarks.bench.experiments.floors import Floors
from benchmarks.bench.experiments.growth import Growth, Memory
from benchmarks.bench.experiments.http import HttpCalls, HttpPublishing
from benchmarks.bench.experiments.latency import Latency
from benchmarks.bench.experiments.merges import Merges
from benchmarks.bench.experiments.publishing import Publishing
from benchmarks.bench.experiments.reads import Reads, UserRead
from benchmarks.bench.experiments.single_jobs import SingleJobs
from benchmarks.bench.experiments.starts import Starts

EXPERIMENTS: Final[tuple[Experiment, ...]] = (
    Starts(),
    Publishing(),
    HttpPublishing(),
    SingleJobs(),
    Bulk(),
    Floors(),
    Latency(),
    HttpCalls(),
    Events(),
    Growth(),
    UserRead(),
    Reads(),
    Merges(),
    Memory(),
)
