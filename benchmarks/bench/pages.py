"""The pages that show the figures: what lies between their markers is ours to write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from benchmarks.bench.goals import GOALS
from benchmarks.bench.ground import ROOT
from benchmarks.bench.plot import draw
from benchmarks.bench.results import Results
from benchmarks.bench.scale import QUICK
from benchmarks.bench.words import compared, reached, spread, verdict

MAIN_KEYS: Final = {
    "single_vs_stock_orm": "over stock Celery, ORM",
    "single_vs_stock_upsert": "over stock Celery, upsert",
    "single_vs_best_peer": "over dramatiq or taskiq",
    "bulk_vs_floor": "bulk, of bare batched upserts",
    "p50_ms": "call to readable",
}
"""What the project's own README shows."""


class MarkersMissing(LookupError):
    """A page has lost the markers between which a table belongs."""


def write(results: Results, root: Path = ROOT) -> None:
    """Write results/ of the run, and the tables of both pages."""
    results = Results.from_dict(results.to_dict())  # rounded, so that the pages can be made again from the JSON
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
        MarkersMissing: it has not exactly one pair of them.
    """
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise MarkersMissing(f"the page must have <!-- {marker} --> and <!-- /{marker} --> once")
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page)


def goals_table(results: Results) -> str:
    """Every key, with its goal and what came out."""
    lines = [
        "![Rates a second, as bars](results/rates.svg)",
        "",
        f"{results.scale.name.capitalize()} run of {results.day}.",
        "",
        "| key | what | goal | reached | rounds, from - to (how many) | ours : yardstick | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, goal in GOALS.items():
        if figure := results.figure(key):
            cells = (goal.meaning, str(goal), f"**{reached(figure)}**", spread(figure), compared(figure))
            lines.append(f"| `{key}` | {' | '.join(cells)} | {_verdict(figure.against, verdict(figure))} |")
    return "\n".join(lines)


def machine_table(results: Results) -> str:
    """The machine that the figures were made on."""
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in results.machine.items()]
    return "\n".join(["| machine | |", "| --- | --- |", *rows])


def main_table(results: Results) -> str:
    """The few figures that say most, beside each other: the project's README has no room for more lines."""
    shown = [(what, figure) for key, what in MAIN_KEYS.items() if (figure := results.figure(key))]
    is_quick = " (quick run)" if results.scale is QUICK else ""
    rows = (
        [f"{what}{is_quick}" for what, _ in shown],
        ["---"] * len(shown),
        [f"**{reached(figure)}** (goal {GOALS[figure.key]})" for _, figure in shown],
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verdict(against: str, said: str) -> str:
    return f"{said} (against {against})" if against and "reached" in said else said


def _caption(results: Results) -> str:
    machine = results.machine
    return (
        f"Rollbook and its yardsticks on {machine['cores']} cores, medians of rounds"
        " (line: lowest to highest); logarithmic"
    )
