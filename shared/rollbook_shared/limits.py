"""How much a job may hold, and a user. The client enforces these limits. Workers check only those that bound their own
work, whatever a client's settings are: the `HARD_` ones, and what is kept of one user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from rollbook_shared.environment import Choice, Duration, Number

JOB_BYTES: Final = 64 * 1024 * 1024
"""Of one job as JSON. On the wire it takes a third more, at worst four times as much, and Redis accepts no more
than 512 MB at once."""
TOKEN_CHARACTERS: Final = 4_096
"""Of a push token; those of some services have more than a thousand."""
USER_ID_CHARACTERS: Final = 256
NESTING: Final = 32
"""Levels of objects and lists in a value; a scalar has none."""
NUMBER_BITS: Final = 1024
"""Of an integer. A larger one is beyond a double's range, and takes quadratic time to print."""
HARD_BULK_USERS: Final = 10_000
"""Whatever the setting says: each user of a job has its own ordinal in the stamp."""
HARD_RECIPIENTS: Final = 10_000
"""Likewise; and one transaction writes all of them."""
HARD_MESSAGES: Final = 10_000
"""Of one trigger, whatever the setting says: one transaction writes all of them."""
_HARD_PART_BYTES: Final = 16 * 1024 * 1024
"""Of the properties, and of the other parts: a job of one user is never too large for a worker."""


class MistakenIds(StrEnum):
    """What the client does with an id such as `undefined`, which a program writes for a missing value."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the client accepts; the defaults are those of rules 5, 21 and 26. May differ from process to process."""

    max_bulk_users: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_BULK_USERS", f"Users in one bulk job; at most {HARD_BULK_USERS:,}, whatever is set.", least=1
        ),
    ] = 100
    max_recipients: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_RECIPIENTS",
            f"Recipients of one trigger; at most {HARD_RECIPIENTS:,}, whatever is set.",
            least=1,
        ),
    ] = 1_000
    max_messages: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_MESSAGES",
            f"Messages of one trigger, its recipients times its channels; at most {HARD_MESSAGES:,}, whatever is set.",
            least=1,
        ),
    ] = HARD_MESSAGES
    max_user_bytes: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_USER_BYTES",
            "All that is kept of one user, with the users that were merged into it, as JSON: properties, every version "
            "of its preferences, channel data, and the stamps of all of them. Workers check it: a job that would pass "
            "it becomes a dead letter, `too_large`.",
            unit="bytes",
            most=JOB_BYTES,
        ),
    ] = 4 * 1024 * 1024
    max_properties_bytes: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_PROPERTIES_BYTES",
            "The properties of one user in one job, as JSON.",
            unit="bytes",
            most=_HARD_PART_BYTES,
        ),
    ] = 256 * 1024
    max_data_bytes: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_DATA_BYTES",
            "A preference set, the data of one channel, a trigger's `data`, and all of a user but the properties, "
            "each as JSON.",
            unit="bytes",
            most=_HARD_PART_BYTES,
        ),
    ] = 256 * 1024
    max_clock_skew: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_MAX_CLOCK_SKEW_SECONDS", "How far `occurred_at` may lie ahead of the clock.", unit="seconds"
        ),
    ] = timedelta(minutes=5)
    mistaken_ids: Annotated[
        MistakenIds,
        Choice(
            "ROLLBOOK_MISTAKEN_IDS",
            "What the client does with ids such as `undefined`, `null`, `None`, `NaN` and `[object Object]`, which "
            "stand for a missing value: with `reject` no call creates, changes or merges such a user. Imports always "
            "reject them.",
            kind=MistakenIds,
        ),
    ] = MistakenIds.ACCEPT


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolLimits:
    """How many connections to the database one client uses. An `AsyncRollbook` has so many in each event loop."""

    max_connections: Annotated[
        int,
        Number("ROLLBOOK_MAX_CONNECTIONS", "Connections to the database that one client uses at once.", least=1),
    ] = 15
    max_idle_connections: Annotated[
        int,
        Number("ROLLBOOK_MAX_IDLE_CONNECTIONS", "How many of these a client keeps open while they are not in use."),
    ] = 5
    connection_wait: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_CONNECTION_WAIT_SECONDS",
            "How long a read by the client waits while all its connections are in use, before it raises `Unavailable`.",
            unit="seconds",
        ),
    ] = timedelta(seconds=10)
