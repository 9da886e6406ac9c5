"""Deliveries, as jobs make, wake and cancel them: a row for each new message on a channel that is delivered.

The row is written in the transaction that makes the message, whether or not the recipient is known by then: an identify
that arrives later may make the recipient known, and the claim decides. A job that is applied again makes no message
anew, and so no delivery.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.profile_sections import TRAIT_KEYS
from rollbook_shared.domain.stamps import occurred_at_of, stamp_floor
from rollbook_shared.json_values import encode_json
from rollbook_shared.registry import CHANNEL_DATA, Priority, Registry
from rollbook_worker.store.retry import is_duplicate
from rollbook_worker.store.rows import Row, as_json

PRIORITIES: Final = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
_DELIVERIES: Final = load(__package__, "deliveries")
_HISTORY: Final = load(__package__, "history")
_MICROSECOND: Final = timedelta(microseconds=1)


class DeliveryExists(Exception):
    """A new message has a delivery already: roll back, and look for deliveries from the start."""


def insert_messages(
    cursor: Cursor,
    parts: Sequence[list[Row]],
    triggers: Sequence[Row],
    registry: Registry,
    now: int,
    *,
    look_for_deliveries: bool,
) -> None:
    """Keep the messages, each part with a statement of its own, and a delivery for each that is new and leaves. `now`
    is in microseconds since 1970.

    A new message has no delivery, unless its trigger has the id of another one, which is kept in another partition, and
    longer than jobs are. To look for it costs each delivery, so that is not done at first.

    Raises:
        DeliveryExists: there is one, and `look_for_deliveries` is false.
    """
    workflows = {trigger["job_id"]: trigger["workflow"] for trigger in triggers}
    ways = _ways(workflows, parts, registry)
    statement = _DELIVERIES["insert_messages_and_missing_deliveries" if look_for_deliveries else "insert_messages"]
    for part in parts:
        messages = as_json(part)
        if plans := _plans(workflows, part, ways, now):
            try:
                cursor.execute(statement, {"messages": messages, "plans": as_json(plans), "now": now})
            except psycopg.Error as error:
                if is_duplicate(error):
                    raise DeliveryExists from error
                raise
        else:
            cursor.execute(_HISTORY["insert_messages"], {"messages": messages})


def wake(cursor: Cursor, ids: Collection[str], roots: Collection[str], registry: Registry, now: int) -> frozenset[str]:
    """Let what waits be claimed at once, if what jobs say of these users lets it be sent: the recipient is known now,
    or has the address that was missing. Return the channels. `roots` are the clusters of the users.
    """
    if not ids:
        return frozenset()
    who = {"ids": as_json(list(ids)), "now": now}
    if not roots and not (cursor.execute(_DELIVERIES["find_waiting"], who).fetchone() or (False,))[0]:
        return frozenset()
    needs = {key: channel.needs and _stored(channel.needs) for key, channel in registry.channels.items()}
    cursor.execute(_DELIVERIES["wake"], {**who, "roots": sorted(roots), "needs": encode_json(needs).decode()})
    return frozenset(channel for (channel,) in cursor)


def cancel_of_deleted(cursor: Cursor, ids: Collection[str], registry: Registry, now: int) -> None:
    """Cancel what waits for the users that a job deleted. What is older than any channel permits is left as it is: the
    claim skips it.
    """
    if not ids:
        return
    longest = max(channel.max_age for channel in registry.channels.values() if channel.delivery is not None)
    since = stamp_floor(max(now - longest // _MICROSECOND, 0))
    cursor.execute(_DELIVERIES["cancel_of_deleted"], {"ids": list(ids), "since": since})


class _Way(NamedTuple):
    """How the messages of a workflow on a channel leave. Times are in microseconds."""

    channel: str
    priority: int
    max_age: int
    delay: int


def _ways(workflows: Mapping[str, str], parts: Sequence[list[Row]], registry: Registry) -> dict[tuple[str, str], _Way]:
    """By workflow and channel; without the messages that stay."""
    if not registry.delivers:
        return {}
    ways: dict[tuple[str, str], _Way] = {}
    for workflow, name in {(workflows[row["job_id"]], row["channel"]) for part in parts for row in part}:
        if (channel := registry.delivered_channel(workflow, name)) is not None:
            ways[workflow, name] = _Way(
                channel=channel.key,
                priority=PRIORITIES[registry.priority(workflow)],
                max_age=channel.max_age // _MICROSECOND,
                delay=channel.delay // _MICROSECOND,
            )
    return ways


def _plans(
    workflows: Mapping[str, str], messages: Sequence[Row], ways: Mapping[tuple[str, str], _Way], now: int
) -> list[Row]:
    """How the messages leave, by trigger and channel; without those that stay."""
    if not ways:
        return []
    together: dict[tuple[str, str], list[Row]] = {}
    for message in messages:
        together.setdefault((message["job_id"], message["channel"]), []).append(message)
    plans: list[Row] = []
    for (job_id, name), own in together.items():
        workflow = workflows[job_id]
        if (way := ways.get((workflow, name))) is None:
            continue
        occurred_at = occurred_at_of(own[0]["stamp"])
        expires_at = occurred_at + way.max_age
        due_at = max(now, occurred_at + way.delay)
        plans.append(
            {
                "message_ids": [message["id"] for message in own],
                "delivered_by": way.channel,
                "workflow": workflow,
                "priority": way.priority,
                "due_at": None if expires_at <= now else due_at,
                "expires_at": expires_at,
            }
        )
    return plans


def _stored(needs: str) -> str:
    """What a channel needs, by its stored key."""
    return needs if needs == CHANNEL_DATA else TRAIT_KEYS[needs]
