"""The table of metrics, read from the calls that make them: some exist only while their server answers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from docs.site.generators.source import calls, table

_TYPES: Final[Mapping[str, str]] = {"Counter": "counter", "Histogram": "histogram", "Gauge": "gauge"}


@dataclass(frozen=True)
class Metric:
    """One metric: its name as Prometheus shows it, and what its HELP says."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def page() -> str:
    """The table."""
    rows = [
        (f"`{found.name}`", found.type, ", ".join(f"`{label}`" for label in found.labels), found.help)
        for found in metrics()
    ]
    return table("metric", "type", "labels", "what it is", rows=rows)


def metrics() -> list[Metric]:
    """Every metric, by name."""
    found = {metric.name: metric for call in calls() if (metric := _metric(call))}
    return [found[name] for name in sorted(found)]


def _metric(call: ast.Call) -> Metric | None:
    match call.args:
        case [ast.Constant(value=str(name)), ast.Constant(value=str(text)), *rest] if (
            name.startswith("rollbook_") and " " in text
        ):
            maker = call.func.id if isinstance(call.func, ast.Name) else ""
            kind = _TYPES.get(maker, "gauge")
            suffix = "_total" if kind == "counter" else ""
            return Metric(name + suffix, kind, _labels(call, rest), text)
    return None


def _labels(call: ast.Call, rest: list[ast.expr]) -> tuple[str, ...]:
    lists = [*rest, *(keyword.value for keyword in call.keywords if keyword.arg in ("labels", "labelnames"))]
    return tuple(
        str(item.value)
        for given in lists
        if isinstance(given, ast.List | ast.Tuple)
        for item in given.elts
        if isinstance(item, ast.Constant)
    )
