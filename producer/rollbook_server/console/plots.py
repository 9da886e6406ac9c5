"""Small plots of the last hour as SVG, made here: no script draws, and no style is in them but classes.

A line is broken where nothing was measured. The values are in the text beside the plot, so that no reader has to take
them off a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup, escape

from rollbook.models import Measurement
from rollbook_server.console.rendering import format_duration, format_number
from rollbook_shared.figures import EVERY_SECONDS, KEPT_SECONDS

WIDTH: Final = 300
HEIGHT: Final = 64
_TOP: Final = 4
_GAP: Final = timedelta(seconds=3 * EVERY_SECONDS)
"""After which a line is broken."""
_SPAN: Final = timedelta(seconds=KEPT_SECONDS)


def _rate(value: float) -> str:
    return f"{value:,.1f}/s" if value < 100 else f"{value:,.0f}/s"


def _count(value: float) -> str:
    return format_number(round(value))


@dataclass(frozen=True, slots=True)
class PlotKind:
    """What one plot shows."""

    title: str
    figures: tuple[tuple[str, str], ...]
    """Names of figures, each with the name of its line; at most three."""
    shown: Callable[[float], str]


PLOTS: Final = (
    PlotKind("Applied jobs", (("jobs_per_second", "applied or rejected"),), _rate),
    PlotKind(
        "Latency",
        (("latency_seconds.p50", "half"), ("latency_seconds.p95", "95 of 100"), ("latency_seconds.p99", "99 of 100")),
        format_duration,
    ),
    PlotKind("Queued jobs", (("queue_jobs.default", "default"), ("queue_jobs.bulk", "bulk")), _count),
    PlotKind(
        "Oldest queued job",
        (("queue_oldest_seconds.default", "default"), ("queue_oldest_seconds.bulk", "bulk")),
        format_duration,
    ),
    PlotKind("Workers", (("workers.default", "default"), ("workers.bulk", "bulk")), _count),
    PlotKind("Jobs with workers", (("inflight_jobs", "claimed"),), _count),
    PlotKind("New dead letters", (("dead_letters_per_second", "dead"),), _rate),
    PlotKind(
        "Deliveries",
        (
            ("deliveries_per_second.sent", "sent"),
            ("deliveries_per_second.undeliverable", "given up"),
            ("deliveries_per_second.skipped", "skipped"),
        ),
        _rate,
    ),
    PlotKind("Deliveries due", (("deliveries_due", "due"),), _count),
    PlotKind("Oldest due delivery", (("deliveries_oldest_due_seconds", "late"),), format_duration),
    PlotKind("Deferred jobs overdue", (("deferred_overdue_seconds", "late"),), format_duration),
    PlotKind("Outbox", (("outbox_unsent", "unsent"), ("outbox_unfinished", "unfinished")), _count),
    PlotKind("Oldest job in the outbox", (("outbox_oldest_seconds", "age"),), format_duration),
)


@dataclass(frozen=True, slots=True)
class PlotLine:
    """One line of a plot, with its last value as text; empty: it was not measured last."""

    name: str
    now: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with what stands beside it."""

    title: str
    lines: tuple[PlotLine, ...]
    most: str
    """The value at its top."""
    svg: Markup


def plots_of(measurements: Sequence[Measurement], now: datetime) -> list[Plot]:
    """The plots of the last hour; those of what was never measured are left out."""
    return [
        _plot(kind, measurements, now)
        for kind in PLOTS
        if any(name in each.figures for each in measurements for name, _ in kind.figures)
    ]


def _plot(kind: PlotKind, measurements: Sequence[Measurement], now: datetime) -> Plot:
    names = [name for name, _ in kind.figures]
    found = (each.figures.get(name) for each in measurements for name in names)
    values = [value for value in found if value is not None and math.isfinite(value)]
    most = _nice(max(values, default=0.0))
    last = measurements[-1].figures if measurements else {}
    lines = tuple(PlotLine(label, kind.shown(last[name]) if name in last else "") for name, label in kind.figures)
    drawn = Markup("").join(
        Markup('<path class="line line-{}" d="{}"/>').format(number, path)
        for number, name in enumerate(names, start=1)
        if (path := " ".join(_path(measurements, name, most, now)))
    )
    label = f"{kind.title}, last hour, up to {kind.shown(most)}"
    svg = Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="grid" d="M0 {top}H{w}M0 {middle}H{w}M0 {bottom}H{w}"/>{drawn}</svg>'
    ).format(
        w=WIDTH, h=HEIGHT, label=escape(label), top=_TOP, middle=(_TOP + HEIGHT) / 2, bottom=HEIGHT - 0.5, drawn=drawn
    )
    return Plot(kind.title, lines, kind.shown(most), svg)


def _path(measurements: Sequence[Measurement], name: str, most: float, now: datetime) -> Iterator[str]:
    before: datetime | None = None
    for each in measurements:
        value = each.figures.get(name)
        if value is None or not math.isfinite(value):
            continue
        x = WIDTH * (1 - (now - each.at) / _SPAN)
        y = HEIGHT - 1 - (HEIGHT - 1 - _TOP) * min(max(value, 0.0) / most, 1.0)
        is_new = before is None or each.at - before > _GAP
        yield f"{'M' if is_new else 'L'}{x:.1f} {y:.1f}"
        if is_new:
            yield "h0.1"  # a point by itself is seen, too
        before = each.at


def _nice(most: float) -> float:
    """A round number that is no smaller: 1, 2 or 5 times a power of ten."""
    if not math.isfinite(most) or most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most * 0.999_999)
