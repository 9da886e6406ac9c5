"""Queries for lists of recent jobs, the newest first.

The table of jobs holds no user ids of applied jobs: they would cost each identify an index entry, and would be one more
place to erase. What is kept of a user says which jobs it came from, because each stamp holds a job id. So the applied
jobs of a user are found by what they left, and erasure, which removes that, leaves no trace here. Other jobs left
nothing; with those are kept the users that they name, until those are erased.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from rollbook.models import JobStatus, Page
from rollbook.queries.jobs import status_of_dead_letter, status_of_job
from rollbook.queries.page_cursor import PageCursor
from rollbook.queries.query import Statement, Steps, query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, job_id_of, microseconds, occurred_at_of
from rollbook_shared.jobs.models import MAX_TIMESTAMP

ListedState = Literal["applied", "rejected", "deferred", "cancelled", "dead"]
"""The states of jobs that workers have received."""
MAX_SCANNED: Final = 10_000
"""How many jobs one page may look at, apart from those that it shows."""
MAX_ACTIVITIES: Final = 1_000
"""How many activities of an id one page of its jobs may look at."""

_SQL: Final = load(__package__, "job_lists")
_FREQUENT: Final = "identify"
"""The kind of most jobs. It has no index of its own, which each identify would pay for."""
_FINISHED: Final = "state IN ('applied', 'rejected')"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list is of."""

    state: ListedState | None = None
    kind: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_Place = tuple[str, str, str]
"""The fields of a `PageCursor`."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry of the list, or the place where a walk ended (`status` None)."""

    place: _Place
    status: JobStatus | None


@query
def find_jobs(limit: int, which: JobFilter, after: PageCursor | None) -> Steps[Page[JobStatus]]:
    """A page of the jobs that workers have received, the newest first."""
    if which.user_id is not None:
        items = yield from _items_of_user(which.user_id, which, after, limit + 1)
    else:
        items = yield from _items(which, after, limit + 1)
    # beyond the place where a walk ended first, there may be jobs that it has not reached
    end = max((item.place for item in items if item.status is None), default=("", "", ""))
    found = sorted((item for item in items if item.status and item.place >= end), key=lambda item: item.place)[::-1]
    if len(found) > limit:
        end = found[limit - 1].place
    statuses = [item.status for item in found[:limit] if item.status is not None]
    return Page(items=tuple(statuses), after=PageCursor(*end).as_text() if end[0] else None)


def _items(which: JobFilter, after: PageCursor | None, wanted: int) -> Steps[list[_Item]]:
    parameters: dict[str, object] = {
        "kind": which.kind,
        "since": which.since,
        "until": which.until,
        **({} if after is None else {"time": after.datetime, "id": after.id, "key": bytes.fromhex(after.key)}),
    }
    items: list[_Item] = []
    for index, state in _walks(which):
        # of a dead letter and a job with the same time and id, the dead letter comes first
        operator = "<=" if after is not None and after.key else "<"
        position = "true" if after is None else f"(finished_at, id) {operator} (%(time)s, %(id)s::text)"
        kind = "true" if which.kind is None else "kind = %(kind)s::text"
        sql = _SQL["walk_jobs"].format(
            range=index, position=position, filter=f"{state} AND {kind}", scanned=MAX_SCANNED + 1, wanted=wanted
        )
        for row in (yield Statement(sql, parameters)):
            place = PageCursor.at(row["finished_at"], row["id"])
            items.extend(_items_of_row(row, place, status_of_job(row)))
    if which.state in (None, "dead"):
        position = "true" if after is None else "(failed_at, id, digest) < (%(time)s, %(id)s::text, %(key)s::bytea)"
        kind = "true" if which.kind is None else "kind = %(kind)s::text"
        sql = _SQL["walk_dead_letters"].format(position=position, filter=kind, scanned=MAX_SCANNED + 1, wanted=wanted)
        for row in (yield Statement(sql, parameters)):
            place = PageCursor.at(row["failed_at"], row["id"], bytes(row["digest"]).hex())
            items.extend(_items_of_row(row, place, status_of_dead_letter(row, None)))
    return items


def _items_of_row(row: Mapping[str, Any], place: _Place, status: JobStatus) -> Iterator[_Item]:
    if row["is_match"]:
        yield _Item(place, status)
    if row["is_stop"]:
        yield _Item(place, None)


def _walks(which: JobFilter) -> Iterator[tuple[str, str]]:
    """The parts of indexes of `jobs` that hold the list, each with a condition on the state. Without parameters, so
    that Postgres sees at once which index has them.
    """
    if which.state == "dead":
        return
    if which.kind not in (None, _FREQUENT):
        state = "true" if which.state is None else f"state = '{which.state}'"
        yield f"kind <> '{_FREQUENT}' AND kind = %(kind)s::text", state
    elif which.state is None:
        yield _FINISHED, "true"
        for state in ("deferred", "cancelled"):
            yield f"state <> 'applied' AND state = '{state}'", "true"
    elif which.state == "applied":
        yield _FINISHED, "state = 'applied'"
    else:
        yield f"state <> 'applied' AND state = '{which.state}'", "true"


def _items_of_user(user_id: str, which: JobFilter, after: PageCursor | None, wanted: int) -> Steps[list[_Item]]:
    ids = [row["id"] for row in (yield Statement(_SQL["ids_of_user"], {"user_id": user_id}))]
    items: list[_Item] = []
    if which.state in (None, "applied"):
        items += yield from _applied(ids, which, after)
    parameters: dict[str, object] = {
        "ids": ids,
        "state": which.state,
        "kind": which.kind,
        "since": None if which.since is None else microseconds(which.since),
        "until": None if which.until is None else microseconds(which.until),
        "at": MAX_TIMESTAMP if after is None else int(after.time, 16),
        "id": "" if after is None else after.id,
        "key": b"" if after is None else bytes.fromhex(after.key),
        "wanted": wanted,
    }
    if which.state in (None, "rejected", "deferred", "cancelled"):
        for row in (yield Statement(_SQL["unapplied_of_user"], parameters)):
            items.append(_Item((f"{row['occurred_at']:014x}", row["id"], ""), status_of_job(row)))
    if which.state in (None, "dead"):
        for row in (yield Statement(_SQL["dead_letters_of_user"], parameters)):
            place = (f"{row['occurred_at']:014x}", row["id"], bytes(row["digest"]).hex())
            items.append(_Item(place, status_of_dead_letter(row, None)))
    return items


def _applied(ids: list[str], which: JobFilter, after: PageCursor | None) -> Steps[list[_Item]]:
    # a job comes after a dead letter with its id and time; `"` sorts after the `!` that ends its id in stamps
    end = "~" if after is None else after.time + after.id + ('"' if after.key else "")
    rows = yield Statement(_SQL["stamps_of_user"], {"ids": ids, "end": end, "most": MAX_ACTIVITIES})
    places: dict[str, _Place] = {}
    for row in rows:
        place = _place(row["stamp"])
        places[place[1]] = max(place, places.get(place[1], place))
    items: list[_Item] = []
    for source, count in Counter(row["source"] for row in rows if row["is_limited"]).items():
        if count == MAX_ACTIVITIES:
            last = min(row["stamp"] for row in rows if row["source"] == source)
            items.append(_Item(_place(last), None))
    since = "" if which.since is None else f"{microseconds(which.since):014x}"
    until = "~" if which.until is None else f"{microseconds(which.until):014x}~"
    before = ("~",) if after is None else tuple(after)
    listed = {id_: place for id_, place in places.items() if since <= place[0] <= until and place < before}
    rows = yield Statement(_SQL["jobs_by_id"], {"ids": list(listed), "kind": which.kind})
    return [*items, *(_Item(listed[row["id"]], status_of_job(row)) for row in rows)]


def _place(stamp: Stamp) -> _Place:
    return f"{occurred_at_of(stamp):014x}", job_id_of(stamp), ""
