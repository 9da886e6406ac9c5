"""The deliveries of each channel: what is due, and what became of those of the last day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rollbook_shared.database.statements import load
from rollbook_shared.observability.inspection.postgres_backlog import MAX_COUNT

if TYPE_CHECKING:
    import psycopg

_SQL: Final = load(__package__, "deliveries")


@dataclass(frozen=True, kw_only=True, slots=True)
class DueDeliveries:
    """The deliveries of a channel that may be claimed now. Counts of all channels together end at `MAX_COUNT`."""

    channel: str
    count: int
    oldest: float
    """Seconds since the first of them became due."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentDeliveries:
    """What became of the deliveries of a channel in the last day, and of those that will be tried again."""

    channel: str
    states: dict[str, int]
    """How many there are of each state."""
    reasons: dict[tuple[str, str], int]
    """How many there are of each state and reason. An application's own senders may have written personal data."""


def find_due_deliveries(connection: psycopg.Connection) -> list[DueDeliveries]:
    """What is due, by channel. Raises psycopg's errors."""
    rows = connection.execute(_SQL["due"], {"limit": MAX_COUNT}).fetchall()
    return [DueDeliveries(channel=channel, count=count, oldest=oldest) for channel, count, oldest in rows]


def find_recent_deliveries(connection: psycopg.Connection) -> list[RecentDeliveries]:
    """What became of deliveries, by channel. Raises psycopg's errors."""
    states: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    reasons: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for channel, state, reason, count in connection.execute(_SQL["recent"], {"limit": MAX_COUNT}).fetchall():
        states[channel][state] += count
        reasons[channel][state, reason or ""] = count
    return [
        RecentDeliveries(channel=channel, states=dict(found), reasons=reasons[channel])
        for channel, found in sorted(states.items())
    ]
