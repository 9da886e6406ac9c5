"""Reads what Postgres shows as a world, to be compared with the reference."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_shared.database.tables import current_users, merged_users, owned_activities, owned_messages
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.reference.world import World, WorldActivity, WorldMessage, WorldUser

_ROWS_AT_ONCE = 1_000
_ENGAGEMENTS = ("seen", "read", "interacted", "archived")


def read_world(database: DemoDatabase) -> World:
    """Read everything that the views show, in one snapshot."""
    with database.connect("REPEATABLE READ") as connection:
        return {
            "users": {row.id: _user(row) for row in _rows(connection, select(current_users))},
            "merged": {row.id: row.merged_into for row in _rows(connection, select(merged_users))},
            "messages": {str(row.id): _message(row) for row in _rows(connection, select(owned_messages))},
            "activities": {str(row.id): _activity(row) for row in _rows(connection, select(owned_activities))},
        }


def _rows(connection: Connection, query: Select[Any]) -> Any:
    return connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)


def _user(row: Any) -> WorldUser:
    return {
        "attributes": {name: value for name in ATTRIBUTES if (value := getattr(row, name)) is not None},
        "properties": row.properties,
        "preferences": row.preferences,
        "channel_data": row.channel_data,
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
