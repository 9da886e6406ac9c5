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
from benchmarks.bench.words import compared, reached, spread, verdict

MAIN_KEYS: Final = {
    "single_vs_stock_orm": "one identify a job, over stock Celery with an ORM",
    "single_vs_stock_upsert": "the same, over stock Celery with one upsert a task",
    "single_vs_best_peer": "the same, over the better of dramatiq and taskiq",
    "bulk_vs_floor": "bulk jobs, over bare batched upserts without a queue",
    "p50_ms": "from the call until it can be read, median",
}
"""What the project's own README shows."""


class MarkersMissing(LookupError):
    """A page has lost the markers between which a table belongs."""


def write(results: Results, root: Path = ROOT) -> None:
    """Write results/ of the run, and the tables of both pages."""
    folder = root / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    name = results.scale.name
    (folder / f"{name}.json").write_text(json.dumps(results.to_dict(), indent=1, ensure_ascii=False) + "\n")
    (folder / f"{name}.svg").write_text(draw(results.rates, _caption(results)))
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
        f"![Rates]({'results'}/{results.scale.name}.svg)",
        "",
        f"{results.scale.name.capitalize()} run of {_day(results)}, medians of {results.scale.rounds} rounds.",
        "",
        "| key | what | goal | reached | rounds, from - to | ours : yardstick | verdict |",
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
    """The few figures that say most."""
    machine = results.machine
    lines = [
        f"On {machine['cores']} cores ({machine['cpu']}), Postgres durable, everything on the one machine:",
        "",
        "| | goal | reached |",
        "| --- | --- | --- |",
    ]
    for key, what in MAIN_KEYS.items():
        if figure := results.figure(key):
            lines.append(f"| {what} | {GOALS[key]} | {reached(figure)} |")
    return "\n".join(lines)


def _verdict(against: str, said: str) -> str:
    return f"{said} (against {against})" if against and "reached" in said else said


def _day(results: Results) -> str:
    return str(results.to_dict()["day"])


def _caption(results: Results) -> str:
    machine = results.machine
    return (
        f"Rollcall and its yardsticks on {machine['cores']} cores, medians of {results.scale.rounds} rounds"
        " (line: lowest to highest); logarithmic"
    )
