"""Runs of several seeds: one line for each, and their sum."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_SUMMED: Final = (
    "jobs",
    "deliveries",
    "lost",
    "applied_twice",
    "resurrected",
    "dead",
    "handed_over",
    "handed_over_again",
)
_SHOWN: Final = (*_SUMMED, "faults", "seconds")


class Series:
    """The results of the seeds."""

    def __init__(self) -> None:
        self._runs: dict[int, dict[str, Any] | None] = {}

    def add(self, seed: int, figures: dict[str, Any] | None) -> None:
        """Add the figures of a run; None if it did not finish."""
        self._runs[seed] = figures

    @property
    def is_good(self) -> bool:
        """Whether there was at least one run and all of them were good."""
        return bool(self._runs) and not self._failed()

    def figures(self) -> dict[str, Any]:
        """The sum, with the keys of one run and the runs by seed."""
        ended = [figures for figures in self._runs.values() if figures is not None]
        faults: Counter[str] = Counter()
        for figures in ended:
            faults.update(figures["faults"])
        return {
            "equal": bool(self._runs) and len(ended) == len(self._runs) and all(figures["equal"] for figures in ended),
            **{key: sum(figures[key] for figures in ended) for key in _SUMMED},
            "faults": dict(sorted(faults.items())),
            "seconds": round(sum(figures["seconds"] for figures in ended), 1),
            "seeds": list(self._runs),
            "failed": self._failed(),
            "runs": {str(seed): figures for seed, figures in self._runs.items()},
        }

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title="Seeds", title_justify="left")
        for name in ("seed", *_SHOWN, "found"):
            table.add_column(name.replace("_", " "), justify="left" if name == "found" else "right")
        for seed, figures in self._runs.items():
            table.add_row(str(seed), *_row(figures))
        table.add_section()
        table.add_row("all", *_row(self.figures()))
        console.print(table)

    def _failed(self) -> list[int]:
        return [seed for seed, figures in self._runs.items() if figures is None or "found" in figures]


def _row(figures: dict[str, Any] | None) -> list[str]:
    if figures is None:
        return [*([""] * len(_SHOWN)), "did not finish"]
    shown = {**figures, "faults": sum(figures["faults"].values())}
    found = figures.get("found") or {"failed": len(figures.get("failed", ()))}
    problems = ", ".join(f"{what} {number}" for what, number in found.items() if number)
    return [*(f"{shown[key]:,}" for key in _SHOWN), problems or "equal"]
