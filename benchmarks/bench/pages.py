"""Writes the figures into the pages, between their markers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from benchmarks.bench.environment import ROOT
from benchmarks.bench.formatting import format_comparison, format_spread, format_value, format_verdict
from benchmarks.bench.goals import GOALS
from benchmarks.bench.plot import draw
from benchmarks.bench.results import Results
from benchmarks.bench.scale import QUICK

MAIN_KEYS: Final = {
    "single_vs_stock_orm": "over stock Celery, ORM",
    "single_vs_stock_upsert": "over stock Celery, upsert",
    "single_vs_best_peer": "over dramatiq or taskiq",
    "bulk_vs_floor": "bulk, of bare batched upserts",
    "p50_ms": "call to readable",
}
"""Key -> its heading in the project's README."""


class MarkersMissing(LookupError):
    """A page does not have the markers of a table exactly once."""


def write(results: Results, root: Path = ROOT) -> None:
    """Write the run to results/, and the tables of both pages."""
    results = Results.from_dict(results.to_dict())  # rounded, so that the JSON gives the same pages again
    folder = root / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(results.to_dict(), indent=1, ensure_ascii=False) + "\n")
    (folder / "rates.svg").write_text(draw(results.rates, _caption(results)))
    for page, marker, text in (
        (root / "benchmarks" / "README.md", "goals", goals_table(results)),
        (root / "benchmarks" / "README.md", "machine", machine_table(results)),
        (root / "README.md", "bench", main_table(results)),
    ):
        page.write_text(between(page.read_text(), marker, text))


def between(page: str, marker: str, text: str) -> str:
    """The page with `text` between its two markers.

    Raises:
        MarkersMissing: it does not have exactly one pair of them.
    """
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise MarkersMissing(f"the page must have <!-- {marker} --> and <!-- /{marker} --> once")
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page)


def goals_table(results: Results) -> str:
    """Every key, with its goal and its figures."""
    lines = [
        "![Rates per second, as bars](results/rates.svg)",
        "",
        f"{results.scale.name.capitalize()} run of {results.day}.",
        "",
        "| key | what | goal | reached | rounds: lowest - highest (number) | ours : baseline | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, goal in GOALS.items():
        if figure := results.figure(key):
            value, spread = f"**{format_value(figure)}**", format_spread(figure)
            cells = (goal.meaning, str(goal), value, spread, format_comparison(figure))
            lines.append(f"| `{key}` | {' | '.join(cells)} | {_verdict(figure.against, format_verdict(figure))} |")
    return "\n".join(lines)


def machine_table(results: Results) -> str:
    """The machine on which the figures were measured."""
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in results.machine.items()]
    return "\n".join(["| machine | |", "| --- | --- |", *rows])


def main_table(results: Results) -> str:
    """The most important figures in one row, for the project's README."""
    shown = [(what, figure) for key, what in MAIN_KEYS.items() if (figure := results.figure(key))]
    is_quick = " (quick run)" if results.scale is QUICK else ""
    rows = (
        [f"{what}{is_quick}" for what, _ in shown],
        ["---"] * len(shown),
        [f"**{format_value(figure)}** (goal {GOALS[figure.key]})" for _, figure in shown],
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verdict(against: str, verdict: str) -> str:
    return f"{verdict} (against {against})" if against and "reached" in verdict else verdict


def _caption(results: Results) -> str:
    machine = results.machine
    return (
        f"Rollbook and the baselines on {machine['cores']} cores, medians of rounds"
        " (line: lowest to highest); logarithmic"
    )
