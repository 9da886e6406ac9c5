"""Reads what Postgres shows as a world, to be compared with the reference."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_shared.database.tables import (
    current_users,
    merged_users,
    owned_activities,
    owned_messages,
    push_token_users,
)
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.reference.world import World, WorldActivity, WorldMessage, WorldUser

_ROWS_AT_ONCE = 1_000
_ENGAGEMENTS = ("seen", "read", "interacted", "archived")


def read_world(database: DemoDatabase) -> World:
    """Read everything that the views show, in one snapshot."""
    with database.connect("REPEATABLE READ") as connection:
        tokens = _push_tokens(connection)
        return {
            "users": {row.id: _user(row, tokens.get(row.id, {})) for row in _rows(connection, select(current_users))},
            "merged": {row.id: row.merged_into for row in _rows(connection, select(merged_users))},
            "messages": {str(row.id): _message(row) for row in _rows(connection, select(owned_messages))},
            "activities": {str(row.id): _activity(row) for row in _rows(connection, select(owned_activities))},
        }


def _rows(connection: Connection, query: Select[Any]) -> Any:
    return connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)


def _push_tokens(connection: Connection) -> dict[str, dict[str, list[str]]]:
    """By user and channel, the hashes of the push tokens that the user sent last."""
    sent = select(push_token_users.c.channel_id, push_token_users.c.token_hash).distinct().subquery()
    user = func.rollbook.user_of_push_token(sent.c.channel_id, sent.c.token_hash).label("user_id")
    found: dict[str, dict[str, list[str]]] = {}
    for row in _rows(connection, select(user, sent).order_by(sent.c.token_hash)):
        if row.user_id is not None:
            found.setdefault(row.user_id, {}).setdefault(row.channel_id, []).append(row.token_hash.hex())
    return found


def _user(row: Any, push_tokens: dict[str, list[str]]) -> WorldUser:
    return {
        "attributes": {name: value for name in ATTRIBUTES if (value := getattr(row, name)) is not None},
        "properties": row.properties,
        "preferences": row.preferences,
        "channel_data": row.channel_data,
        "push_tokens": push_tokens,
        "updated": row.updated_stamp,
    }


def _activity(row: Any) -> WorldActivity:
    return {
        "owner": row.owner,
        "actor": row.actor,
        "missing_actor": row.had_actor and row.actor is None,
        "workflow": row.workflow,
    }


def _message(row: Any) -> WorldMessage:
    times = {name: getattr(row, f"{name}_at") for name in _ENGAGEMENTS}
    engagements = {name: microseconds(at) for name, at in times.items() if at is not None}
    return {**_activity(row), "channel": row.channel, "engagements": engagements}
