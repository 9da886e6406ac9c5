"""Formats figures, for the terminal and for the pages."""

from __future__ import annotations

from benchmarks.bench.figures import Figure
from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL

_FULL_SIZES = {"messages_long": FULL.history, "users_large": FULL.large_users}


def format_number(value: float | None) -> str:
    """Three digits, or all digits before the point."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_value(figure: Figure) -> str:
    return f"{format_number(figure.value)} {GOALS[figure.key].unit}" if figure.value is not None else "-"


def format_spread(figure: Figure) -> str:
    """The lowest and the highest round, and the number of rounds."""
    if not figure.spread:
        return "-"
    return f"{format_number(figure.spread[0])} - {format_number(figure.spread[1])} ({len(figure.rounds)})"


def format_verdict(figure: Figure) -> str:
    """Whether the goal is reached; with the size if the goal is about a larger one."""
    if figure.value is None:
        return figure.note or "not measured"
    met = {True: "reached", False: "not reached", None: "no goal"}[figure.met]
    smaller = [figure.size[name] for name, full in _FULL_SIZES.items() if figure.size.get(name, full) != full]
    return f"{met}, at {smaller[0]:,} only" if smaller else met


def format_comparison(figure: Figure) -> str:
    """Our figure and that of the baseline."""
    if figure.ours is None or figure.baseline is None:
        return "-"
    return f"{format_number(figure.ours)} : {format_number(figure.baseline)} {figure.unit}"
