"""Queries for users, from the views that the workers keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rollbook.models import User
from rollbook.queries.query import Statement, Steps, query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.push_tokens import all_devices
from rollbook_shared.errors import UserNotFound

_SQL: Final = load(__package__, "users")
_TEXT_ATTRIBUTES: Final = sorted(ATTRIBUTES - {"created_at"})


@query
def find_user(user_id: str) -> Steps[User]:
    """One user, or `UserNotFound`."""
    return user_of((yield from find_row(user_id, "user")))


@query
def find_users_by_ids(user_ids: Sequence[str]) -> Steps[tuple[User, ...]]:
    """Users in the order of the ids, each once; without those that are no user's."""
    rows = yield Statement(_SQL["users"], {"ids": list(user_ids)})
    found = {row["id"]: user_of(row) for row in rows}
    return tuple(found[id_] for id_ in dict.fromkeys(user_ids) if id_ in found)


@query
def find_preferences(user_id: str) -> Steps[dict[str, dict[str, Any]]]:
    """The preference sets of one user, or `UserNotFound`."""
    return dict((yield from find_row(user_id, "preferences"))["preferences"])


@query
def find_preference_set(user_id: str, set_id: str) -> Steps[dict[str, Any] | None]:
    """One preference set of one user, if there is one, or `UserNotFound`."""
    sets: dict[str, dict[str, Any]] = (yield from find_row(user_id, "preferences"))["preferences"]
    return sets.get(set_id)


@query
def find_channel_data(user_id: str, channel_id: str) -> Steps[dict[str, Any] | None]:
    """The data of one user for one channel, if there is any, or `UserNotFound`."""
    channels: dict[str, dict[str, Any]] = (yield from find_row(user_id, "channel_data"))["channel_data"]
    return all_devices(channels[channel_id]) if channel_id in channels else None


def find_row(user_id: str, statement: str) -> Steps[Mapping[str, Any]]:
    """The row of one user, or `UserNotFound` with the user that a merged-away id stands for."""
    rows = yield Statement(_SQL[statement], {"id": user_id})
    if not rows:
        raise UserNotFound(user_id, (yield from find_primary_id(user_id)))
    return rows[0]


def find_primary_id(user_id: str) -> Steps[str | None]:
    """The user that a merged-away id stands for; None if it is not merged away."""
    rows = yield Statement(_SQL["primary_id"], {"id": user_id})
    return rows[0]["merged_into"] if rows else None


def find_profile(user_id: str) -> Steps[Mapping[str, Any] | None]:
    """The row with all values of one user, if there is one."""
    rows = yield Statement(_SQL["profile"], {"id": user_id})
    return rows[0] if rows else None


def user_of(row: Mapping[str, Any]) -> User:
    """A user as its row says."""
    created_at: str | None = row["created_at"]
    return User(
        **{name: row[name] for name in _TEXT_ATTRIBUTES},
        id=row["id"],
        created_at=None if created_at is None else datetime.fromisoformat(created_at.upper()),
        properties=row["properties"],
        updated_at=row["updated_at"].astimezone(UTC),
    )
