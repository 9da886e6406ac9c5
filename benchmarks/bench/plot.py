"""Draws the rates as an SVG, without a library, for light and dark pages."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.bench.bench import LABELS
from benchmarks.bench.formatting import format_number

_GROUPS: Final = {
    "users applied per second, one per job": (
        "rollbook",
        "taskiq",
        "dramatiq",
        "celery_upsert_8",
        "celery_upsert_2",
        "celery_orm_8",
        "celery_orm_2",
    ),
    "users applied per second, in bulk": ("rollbook_bulk", "floor"),
    "calls per second of one publishing process": ("buffered", "identify", "delay", "lpush"),
}
_OURS: Final = {"rollbook", "rollbook_bulk", "buffered", "identify"}
_WIDTH: Final = 860
_LEFT: Final = 330
_RIGHT: Final = 70
_ROW: Final = 24
_BAR: Final = 15
_HEADING: Final = 40
_STYLE: Final = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .dim { fill: #59636e }
  .ours { fill: #0969da } .theirs { fill: #8c959f } .line { stroke: #d1d9e0 } .spread { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .dim { fill: #9198a1 }
    .ours { fill: #4493f8 } .theirs { fill: #656c76 } .line { stroke: #3d444d } .spread { stroke: #f0f6fc }
  }
  text { font: 13px system-ui, sans-serif } .heading { font-weight: 600 }
"""


def draw(rates: Mapping[str, Sequence[float]], caption: str) -> str:
    """The median of each rate as a bar on a logarithmic scale, with a line from the lowest round to the highest.

    The scale is logarithmic because the fastest is more than a thousand times the slowest.
    """
    groups = {title: there for title, names in _GROUPS.items() if (there := [name for name in names if name in rates])}
    shown = [value for names in groups.values() for name in names for value in rates[name]]
    low = 10 ** math.floor(math.log10(min(shown)))
    high = 10 ** math.ceil(math.log10(max(shown)))
    scale = _Scale(low, max(high, low * 10))
    parts: list[str] = []
    top = 44
    for title, names in groups.items():
        parts.append(f'<text class="text heading" x="16" y="{top + 20}">{escape(title)}</text>')
        top += _HEADING - 8
        ordered = sorted(names, key=lambda name: -statistics.median(rates[name]))
        for row, name in enumerate(ordered):
            parts += _bar(name, rates[name], top + row * _ROW, scale)
        top += len(names) * _ROW + 6
    height = top + 34
    grid = [_tick(decade, top, scale) for decade in scale.decades()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-label="{escape(caption, {chr(34): "&quot;"})}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}" rx="6"/>',
            f'<text class="dim" x="16" y="28">{escape(caption)}</text>',
            *grid,
            *parts,
            "</svg>",
            "",
        ]
    )


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self._low = math.log10(low)
        self._high = math.log10(high)

    def x(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def decades(self) -> list[int]:
        return [10**power for power in range(round(self._low), round(self._high) + 1)]


def _bar(name: str, rounds: Sequence[float], top: int, scale: _Scale) -> list[str]:
    median, middle = statistics.median(rounds), top + _BAR / 2
    end, low, high = scale.x(median), scale.x(min(rounds)), scale.x(max(rounds))
    kind = "ours" if name in _OURS else "theirs"
    return [
        f'<text class="text" x="{_LEFT - 10}" y="{top + 12}" text-anchor="end">{escape(LABELS[name])}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text class="text" x="{max(end, high) + 6:.1f}" y="{top + 12}">{format_number(median)}</text>',
    ]


def _tick(value: int, bottom: int, scale: _Scale) -> str:
    x = scale.x(value)
    return (
        f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="{bottom}"/>'
        f'<text class="dim" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:,}</text>'
    )
