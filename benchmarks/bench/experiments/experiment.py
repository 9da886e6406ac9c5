"""The seam between the run and what is measured in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from benchmarks.bench.bench import Bench


class Experiment(Protocol):
    """Measures the keys it names."""

    keys: ClassVar[tuple[str, ...]]

    def sides(self, bench: Bench) -> Sequence[str]:
        """The sides that must be there before it runs."""

    def steps(self, bench: Bench) -> int:
        """How often it will call `bench.step`."""

    def run(self, bench: Bench) -> None:
        """Measure, and record a figure for each key."""
