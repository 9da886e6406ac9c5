"""Prints the results as tables."""

from __future__ import annotations

import statistics

from benchmarks.bench.bench import LABELS
from benchmarks.bench.formatting import format_comparison, format_number, format_spread, format_value, format_verdict
from benchmarks.bench.goals import GOALS
from benchmarks.bench.results import Results
from rich.console import Console
from rich.table import Table

_COLOURS = {True: "green", False: "red", None: "dim"}


def show(results: Results, console: Console) -> None:
    """Print the goals and what was reached, then every rate."""
    title = f"{results.scale.name} run, medians of rounds"
    goals = Table(title=f"Goals: {title}", title_justify="left")
    for heading in ("key", "goal", "reached", "rounds from - to (of)", "ours : baseline", "verdict"):
        goals.add_column(heading, no_wrap=heading == "key")
    for figure in results.figures:
        colour = _COLOURS[figure.met]
        goals.add_row(
            figure.key,
            str(GOALS[figure.key]),
            format_value(figure),
            format_spread(figure),
            format_comparison(figure),
            f"[{colour}]{format_verdict(figure)}[/]",
        )
    console.print(goals)
    if not results.rates:
        return
    rates = Table(title="Rates per second", title_justify="left")
    rates.add_column("what")
    for heading in ("median", "lowest", "highest"):
        rates.add_column(heading, justify="right")
    for name, rounds in results.rates.items():
        rates.add_row(LABELS[name], *map(format_number, (statistics.median(rounds), min(rounds), max(rounds))))
    console.print(rates)
