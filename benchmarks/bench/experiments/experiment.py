"""The protocol of experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from benchmarks.bench.bench import Bench


class Experiment(Protocol):
    """Measures its keys."""

    keys: ClassVar[tuple[str, ...]]

    def contenders(self, bench: Bench) -> Sequence[str]:
        """The contenders that it needs."""

    def steps(self, bench: Bench) -> int:
        """How often it calls `bench.step`."""

    def run(self, bench: Bench) -> None:
        """Measure, and record a figure for each key."""
