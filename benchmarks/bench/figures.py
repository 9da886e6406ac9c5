"""The figures of a key, and the statistics: medians of rounds, with their spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.bench.goals import GOALS


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """The value of one key. It is None if it could not be measured; `note` says why."""

    key: str
    value: float | None
    rounds: Sequence[float] = ()
    """The value of each round. `value` is their median, or for percentiles that of all rounds together."""
    ours: float | None = None
    baseline: float | None = None
    against: str = ""
    """Which baseline it was."""
    unit: str = ""
    """The unit of `ours` and `baseline`."""
    size: Mapping[str, int] = field(default_factory=dict)
    """The sizes it was measured with."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.value is None else GOALS[self.key].met_by(self.value)

    @property
    def spread(self) -> tuple[float, float] | None:
        """The lowest and the highest round."""
        return (min(self.rounds), max(self.rounds)) if self.rounds else None


def median_of_ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, list[float]]:
    """The median of the ratios within each round, and these ratios.

    It is not the ratio of the medians: a disturbance of the machine affects both contenders of a round.
    """
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return statistics.median(ratios), ratios


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values, and a share above 0 and up to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def best(series: Mapping[str, Sequence[float]]) -> str:
    """The name of the series with the highest median."""
    return max(series, key=lambda name: statistics.median(series[name]))
