"""A picture of an identity cluster: a line for each id, who owns what was addressed to it, and the merges between them.

The steps from left to right are the times at which something changed, in order, and not to scale: a merge may follow a
visit of years within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rollbook import ExplainedEvent, ExplainedPeriod, UserExplanation
from rollbook_shared.json_values import printable

MOST_IDS: Final = 16
"""Lines of one picture."""
MOST_STEPS: Final = 24
_LEFT: Final = 190
_STEP: Final = 64
_LEAST_WIDTH: Final = 620
_TOP: Final = 34
_LINE: Final = 34
_MAX_LABEL: Final = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A period of a line: `own` (the user owns what was addressed to the id), `other`, or `none`."""

    x: float
    width: float
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """An id."""

    id: str
    label: str
    """The id as it is drawn: without characters that have no shape, and with its middle left out where it is long."""
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stroke:
    """A merge, drawn from one line to another, or a delete of one (`to_y` is `y`)."""

    x: float
    y: float
    to_y: float
    event: ExplainedEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A time."""

    x: float
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterPicture:
    """The picture, in units of its view box."""

    width: float
    height: float
    lines: tuple[Line, ...]
    strokes: tuple[Stroke, ...]
    ticks: tuple[Tick, ...]
    left_out: int
    """Ids that have no line."""


def cluster_picture(explanation: UserExplanation) -> ClusterPicture | None:
    """The picture; None where one id stands alone and nothing happened to it."""
    events: Sequence[ExplainedEvent] = explanation.events
    if len(explanation.ids) < 2 and not events:
        return None
    ids = _shown_ids(explanation, events)
    periods = [period for period in explanation.ownership if period.user_id in ids]
    events = [event for event in events if event.user_id in ids and event.primary_id in (*ids, None)]
    times = sorted({at for period in periods for at in (period.since, period.until) if at is not None})
    times = sorted({*times, *(event.occurred_at for event in events)})[-MOST_STEPS:]
    step = max(_STEP, (_LEAST_WIDTH - _LEFT) / (len(times) + 1))
    places = {at: _LEFT + number * step for number, at in enumerate(times)}
    end = _LEFT + len(times) * step
    ys = {id_: _TOP + number * _LINE + _LINE / 2 for number, id_ in enumerate(ids)}
    return ClusterPicture(
        width=end + 10,
        height=_TOP + len(ids) * _LINE + 8,
        lines=tuple(
            Line(
                id=printable(id_),
                label=_label(id_),
                y=ys[id_],
                bars=tuple(_bars([one for one in periods if one.user_id == id_], explanation.id, places, end)),
            )
            for id_ in ids
        ),
        strokes=tuple(
            Stroke(
                x=places[event.occurred_at],
                y=ys[event.user_id],
                to_y=ys[event.primary_id or event.user_id],
                event=event,
            )
            for event in events
            if event.occurred_at in places
        ),
        ticks=tuple(Tick(x=x, at=at) for at, x in places.items()),
        left_out=len(explanation.ids) - len([id_ for id_ in ids if id_ in explanation.ids]),
    )


def _label(id_: str) -> str:
    shown = printable(id_)
    return shown if len(shown) <= _MAX_LABEL else f"{shown[:14]}…{shown[-8:]}"


def _shown_ids(explanation: UserExplanation, events: Iterable[ExplainedEvent]) -> list[str]:
    """The user's own id first, then those that merges named last."""
    named: dict[str, None] = {explanation.id: None, explanation.asked_for: None}
    for event in sorted(events, key=lambda event: event.occurred_at, reverse=True):
        named[event.user_id] = None
        if event.primary_id is not None:
            named[event.primary_id] = None
    named |= dict.fromkeys(explanation.ids)
    return list(named)[:MOST_IDS]


def _bars(periods: Iterable[ExplainedPeriod], owner: str, places: dict[datetime, float], end: float) -> Iterator[Bar]:
    for period in periods:
        start = places.get(period.since, _LEFT)
        until = end if period.until is None else places.get(period.until, _LEFT)
        if not period.existed or until <= start:
            continue
        kind = "none" if period.owner is None else "own" if period.owner == owner else "other"
        text = "owned by no user" if period.owner is None else f"owned by {period.owner}"
        yield Bar(x=start, width=until - start, kind=kind, text=text)
