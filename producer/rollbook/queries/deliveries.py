"""Queries for deliveries: what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from rollbook.errors import DeliveryNotFound
from rollbook.models import DeliveryState, DeliveryStatus, Page
from rollbook.queries.page_cursor import TOP, PageCursor
from rollbook.queries.query import Rows, Statement, Steps, query
from rollbook_shared.database.statements import load

_SQL: Final = load(__package__, "deliveries")
MAX_SCANNED: Final = 10_000
"""How many deliveries one page may look at, apart from those that it shows."""
_OPEN: Final = (DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.FAILED)
_LAST: Final = "f" * 32


@query
def find_delivery(delivery_id: UUID) -> Steps[DeliveryStatus]:
    """One delivery, or `DeliveryNotFound`."""
    status = yield from find_delivery_status(delivery_id)
    if status is None:
        raise DeliveryNotFound(str(delivery_id))
    return status


def find_delivery_status(message_id: UUID) -> Steps[DeliveryStatus | None]:
    """What became of the delivery of a message, if it has one."""
    rows = yield Statement(_SQL["by_id"], {"id": message_id})
    return _status(rows[0]) if rows else None


@query
def find_deliveries(
    state: DeliveryState, channel: str | None, limit: int, after: PageCursor | None
) -> Steps[Page[DeliveryStatus]]:
    """A page of the deliveries in one state, those that changed last first."""
    parameters = {
        "state": state.value,
        "channel": channel,
        "changed_at": None if after is None else after.datetime,
        "id": _LAST if after is None else after.id,
        "limit": limit + 1,
    }
    sql = _SQL["open"]
    if state not in _OPEN:
        # a walk along an index, in which a channel may be rare
        matches = "true" if channel is None else "channel = %(channel)s::text"
        sql = _SQL["done"].format(filter=matches, scanned=MAX_SCANNED + 1, wanted=limit + 1)
    rows = yield Statement(sql, parameters)
    return _page(rows, limit, lambda row: PageCursor.at(row["changed_at"], row["id"].hex))


@query
def find_deliveries_of_user(
    user_id: str, state: DeliveryState | None, channel: str | None, limit: int, after: PageCursor | None
) -> Steps[Page[DeliveryStatus]]:
    """A page of the deliveries of a user's messages, those of the newest messages first."""
    before = after or TOP
    rows = yield Statement(
        _SQL["of_user"],
        {
            "user_id": user_id,
            "state": None if state is None else state.value,
            "channel": channel,
            "stamp": before.time,
            "id": before.id,
            "limit": limit + 1,
        },
    )
    return _page(rows, limit, lambda row: PageCursor(row["stamp"], row["id"].hex))


def _page(rows: Rows, limit: int, cursor: Any) -> Page[DeliveryStatus]:
    found = [row for row in rows if row.get("is_match", True)]
    end = found[limit - 1] if len(found) > limit else next((row for row in rows if row.get("is_stop")), None)
    return Page(items=tuple(map(_status, found[:limit])), after=None if end is None else cursor(end).as_text())


def _status(row: Mapping[str, Any]) -> DeliveryStatus:
    return DeliveryStatus(
        id=str(row["id"]),
        user_id=row["user_id"],
        channel=row["channel"],
        workflow=row["workflow"],
        state=DeliveryState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
