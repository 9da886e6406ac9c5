"""The results of a run, as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from benchmarks.bench.figures import Figure
from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL, QUICK, Scale


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """The results of one run."""

    scale: Scale
    figures: Sequence[Figure]
    rates: Mapping[str, Sequence[float]]
    """Name -> the rate of each round."""
    machine: Mapping[str, str | int]
    day: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    """The date, such as 2026-11-24."""

    def figure(self, key: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.key == key), None)

    def to_json(self) -> str:
        """One line. Each key has its value at the top level, and everything else under `details`."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.scale.name,
            "rounds": self.scale.rounds,
            "day": self.day,
            **{figure.key: _rounded(figure.value) for figure in self.figures},
            "details": {figure.key: _details(figure) for figure in self.figures},
            "rates": {
                name: {
                    "median": _rounded(statistics.median(rounds)),
                    "lowest": _rounded(min(rounds)),
                    "highest": _rounded(max(rounds)),
                    "rounds": [_rounded(each) for each in rounds],
                }
                for name, rounds in self.rates.items()
            },
            "machine": dict(self.machine),
        }

    @classmethod
    def from_dict(cls, answers: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(
            scale=next(scale for scale in (FULL, QUICK) if scale.name == answers["run"]),
            figures=[
                Figure(
                    key=key,
                    value=each["value"],
                    rounds=each["rounds"],
                    ours=each["ours"],
                    baseline=each["baseline"],
                    against=each["against"],
                    unit=each["unit"],
                    size=each["size"],
                    note=each["note"],
                )
                for key, each in answers["details"].items()
            ],
            rates={name: each["rounds"] for name, each in answers["rates"].items()},
            machine=answers["machine"],
            day=answers["day"],
        )


def _details(figure: Figure) -> dict[str, Any]:
    return {
        "value": _rounded(figure.value),
        "goal": str(GOALS[figure.key]),
        "met": figure.met,
        "ours": _rounded(figure.ours),
        "baseline": _rounded(figure.baseline),
        "unit": figure.unit,
        "against": figure.against,
        "rounds": [_rounded(each) for each in figure.rounds],
        "size": dict(figure.size),
        "note": figure.note,
    }


def _rounded(value: float | None) -> float | None:
    """To four digits: more would say more than was measured."""
    return None if value is None else float(f"{value:.4g}")
