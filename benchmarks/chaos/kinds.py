"""The kinds of fault: what each strikes, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEASE_SECONDS: Final = 4
"""How long a worker may be silent before others get what it holds; far shorter than in production, to be outlasted."""

STOCK_SECONDS: Final = 16
"""The same of Celery's own transport, which never renews it: longer than a worker takes for all that it holds, or each
message would come to others again and again."""

STATEMENT_SECONDS: Final = 1.5
"""How long a statement may take; far shorter, likewise."""

WORKERS: Final = ("default-1", "default-2", "bulk-1", "mixed-1")
PREFORKED: Final = ("default-2", "mixed-1")
MAINTENANCE: Final = ("maintenance-1", "maintenance-2")
RELAYS: Final = ("relay-1", "relay-2")
VALKEY: Final = "valkey"
POSTGRES: Final = "postgres"
CLOCK: Final = "clock"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault of this kind does."""

    says: str
    targets: tuple[str, ...]
    """It strikes one of these, which no other fault strikes meanwhile."""
    lasts: tuple[float, float]
    """Seconds, at least and at most. What is killed is killed within them, and comes back then."""


KINDS: Final[Mapping[str, Kind]] = {
    "kill-worker": Kind("SIGKILL to a worker and its pool", WORKERS, (0.2, 1.0)),
    "kill-child": Kind("SIGKILL to a process of a worker's pool", PREFORKED, (0.0, 0.0)),
    "freeze-worker": Kind(
        "SIGSTOP to a worker for longer than its leases, then SIGCONT", WORKERS, (LEASE_SECONDS + 1, LEASE_SECONDS + 3)
    ),
    "stop-worker": Kind("SIGTERM to a worker: it must end within its grace, and lose nothing", WORKERS, (0.0, 0.0)),
    "kill-maintenance": Kind("SIGKILL to a dispatcher of deferred jobs", MAINTENANCE, (0.2, 1.0)),
    "kill-relay": Kind("SIGKILL to a relay of the outbox", RELAYS, (0.2, 1.0)),
    "cut-valkey": Kind("all connections to Valkey cut, at some byte", (VALKEY,), (0.0, 0.0)),
    "kick-valkey": Kind("connections cut by Valkey (CLIENT KILL)", (VALKEY,), (0.0, 0.0)),
    "stall-valkey": Kind("Valkey silent, connections open", (VALKEY,), (1.0, 7.0)),
    "crash-valkey": Kind("Valkey killed; it reads its append-only file", (VALKEY,), (0.0, 1.5)),
    "lose-valkey": Kind("Valkey killed; it has kept nothing", (VALKEY,), (0.0, 1.5)),
    "cut-postgres": Kind("all connections to Postgres cut, at some byte", (POSTGRES,), (0.0, 0.0)),
    "kick-postgres": Kind("connections cut by Postgres (pg_terminate_backend)", (POSTGRES,), (0.0, 0.0)),
    "stall-postgres": Kind("Postgres silent, connections open", (POSTGRES,), (1.0, 7.0)),
    "crash-postgres": Kind("Postgres stopped as in a crash, and recovered", (POSTGRES,), (0.0, 1.5)),
    "full-disk": Kind("writes to a table fail: the disk is full", (POSTGRES,), (1.0, 3.0)),
    "lock-table": Kind("a table is locked for longer than statements may take", (POSTGRES,), (2.0, 4.0)),
    "skew-clock": Kind("the clock of a producer steps to minutes off", (CLOCK,), (0.0, 0.0)),
}

ONLY_WITH_OUTBOX: Final = frozenset({"lose-valkey"})
"""These take jobs away that are nowhere else, so they are played while all that is sent is in an outbox."""
ONLY_BEFORE: Final = frozenset({"crash-valkey", "skew-clock"})
"""Not played then: the first because that Valkey has kept nothing, the other because its producer has ended."""
