"""Figures in words, the same on the screen and on the pages."""

from __future__ import annotations

from benchmarks.bench.figures import Figure
from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL

_FULL_SIZES = {"messages_long": FULL.history, "users_large": FULL.large_users}


def number(value: float | None) -> str:
    """Three digits, or all that are before the point."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def reached(figure: Figure) -> str:
    return f"{number(figure.value)} {GOALS[figure.key].unit}" if figure.value is not None else "-"


def spread(figure: Figure) -> str:
    """From the lowest round to the highest, and how many there were."""
    if not figure.spread:
        return "-"
    return f"{number(figure.spread[0])} - {number(figure.spread[1])} ({len(figure.rounds)})"


def verdict(figure: Figure) -> str:
    """Whether the goal is reached; said with the size where that is not the one that the goal is about."""
    if figure.value is None:
        return figure.note or "not measured"
    met = {True: "reached", False: "not reached", None: "no goal"}[figure.met]
    smaller = [figure.size[name] for name, full in _FULL_SIZES.items() if figure.size.get(name, full) != full]
    return f"{met}, at {smaller[0]:,} only" if smaller else met


def compared(figure: Figure) -> str:
    """Ours beside the yardstick."""
    if figure.ours is None or figure.yardstick is None:
        return "-"
    return f"{number(figure.ours)} : {number(figure.yardstick)} {figure.unit}"
