"""The figures of the last full run of the benchmark."""

from __future__ import annotations

import json

from benchmarks.bench import pages
from benchmarks.bench.results import Results
from docs.site.generators.source import ROOT


def page() -> str:
    """The table of goals, and the machine; the picture is in the page itself."""
    results = Results.from_dict(json.loads((ROOT / "benchmarks" / "results" / "run.json").read_text()))
    _, _, goals = pages.goals_table(results).partition("\n\n")
    return f"{goals}\n\n{pages.machine_table(results)}"
