"""The kinds of faults: their targets and how long they last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEASE_SECONDS: Final = 4
"""The lease of a message of the broker, and of a delivery. Far shorter than in production: faults outlast it."""

STOCK_SECONDS: Final = 16
"""The visibility timeout of Celery's own transport, which never renews it. A worker needs less time for
all that it holds; otherwise each message would be delivered again and again."""

STATEMENT_SECONDS: Final = 1.5
"""The statement timeout; also far shorter than in production."""

LOCK_SECONDS: Final = 1.0
"""The lock timeout: shorter than the statement timeout, as in production. A machine that vanished keeps its locks until
Postgres notices, and a job that waits for them is not too slow."""

WORKERS: Final = ("default-1", "default-2", "bulk-1", "mixed-1")
PREFORKED: Final = ("default-2", "mixed-1")
MAINTENANCE: Final = ("maintenance-1", "maintenance-2")
RELAYS: Final = ("relay-1", "relay-2")
HTTP_SERVER: Final = "http-server"
DELIVERING: Final = ("deliver-1", "deliver-2")
OWN_SENDERS: Final = ("sender-1", "sender-2")
SENDERS: Final = (*DELIVERING, *OWN_SENDERS)
PROCESSES: Final = (*WORKERS, *MAINTENANCE, *RELAYS, HTTP_SERVER, *SENDERS)
MACHINES: Final = (*WORKERS, *MAINTENANCE, *RELAYS)
"""Processes of which no other one knows the address."""
SINK: Final = "sink"
VALKEY: Final = "valkey"
POSTGRES: Final = "postgres"
CLOCK: Final = "clock"
HOME: Final = "home"
"""Where this process is, in a network of packets."""
PRODUCERS: Final = ("direct-1", "direct-2", "skewed", "buffered", "outbox-1", "outbox-2", "http")
PROMOTE: Final = "promote"
"""The kind of fault that needs a replica."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What faults of this kind do."""

    description: str
    targets: tuple[str, ...]
    """One of these is the target. No other fault has the same target meanwhile."""
    duration: tuple[float, float]
    """The shortest and the longest duration, in seconds. A process is killed during it and restarted after it."""


FAULT_KINDS: Final[Mapping[str, FaultKind]] = {
    "kill-worker": FaultKind("SIGKILL to a worker and its pool", WORKERS, (0.2, 1.0)),
    "kill-child": FaultKind("SIGKILL to a process of a worker's pool", PREFORKED, (0.0, 0.0)),
    "pause-worker": FaultKind(
        "SIGSTOP to a worker for longer than its leases, then SIGCONT", WORKERS, (LEASE_SECONDS + 1, LEASE_SECONDS + 3)
    ),
    "stop-worker": FaultKind("SIGTERM to a worker; it must stop in time and lose nothing", WORKERS, (0.0, 0.0)),
    "kill-maintenance": FaultKind("SIGKILL to maintenance, which releases deferred jobs", MAINTENANCE, (0.2, 1.0)),
    "kill-relay": FaultKind("SIGKILL to a relay of the outbox", RELAYS, (0.2, 1.0)),
    "kill-http-server": FaultKind("SIGKILL to the HTTP server while it serves requests", (HTTP_SERVER,), (0.2, 1.0)),
    "kill-sender": FaultKind("SIGKILL to a sender that has handed a message over, or reports", SENDERS, (2.0, 6.0)),
    "pause-sender": FaultKind(
        "SIGSTOP to a sender for longer than its leases, then SIGCONT", SENDERS, (LEASE_SECONDS + 1, LEASE_SECONDS + 3)
    ),
    "stop-sender": FaultKind("SIGTERM to a sender; it must stop in time", SENDERS, (0.0, 0.0)),
    "lying-sender": FaultKind(
        "a sender reports late, twice, and of deliveries that others have", OWN_SENDERS, (LEASE_SECONDS, LEASE_SECONDS)
    ),
    "fail-sink": FaultKind("the webhook answers 500", (SINK,), (0.5, 2.0)),
    "hang-sink": FaultKind("the webhook does not answer", (SINK,), (1.0, 3.0)),
    "cut-valkey": FaultKind("all connections to Valkey are cut at a random byte", (VALKEY,), (0.0, 0.0)),
    "disconnect-valkey": FaultKind("Valkey closes connections (CLIENT KILL)", (VALKEY,), (0.0, 0.0)),
    "stall-valkey": FaultKind("Valkey does not answer; connections stay open", (VALKEY,), (1.0, 7.0)),
    "crash-valkey": FaultKind("Valkey is killed and restarts with its append-only file", (VALKEY,), (0.0, 1.5)),
    "lose-valkey": FaultKind("Valkey is killed and restarts empty", (VALKEY,), (0.0, 1.5)),
    "cut-postgres": FaultKind("all connections to Postgres are cut at a random byte", (POSTGRES,), (0.0, 0.0)),
    "disconnect-postgres": FaultKind("Postgres closes connections (pg_terminate_backend)", (POSTGRES,), (0.0, 0.0)),
    "stall-postgres": FaultKind("Postgres does not answer; connections stay open", (POSTGRES,), (1.0, 7.0)),
    "crash-postgres": FaultKind("Postgres crashes and recovers", (POSTGRES,), (0.0, 1.5)),
    PROMOTE: FaultKind("the primary Postgres is killed, and its synchronous replica promoted", (POSTGRES,), (0.2, 1.5)),
    "full-disk": FaultKind("writes to a table fail with a full disk", (POSTGRES,), (1.0, 3.0)),
    "lock-table": FaultKind("a table is locked for longer than the statement timeout", (POSTGRES,), (2.0, 4.0)),
    "isolate": FaultKind(
        "no packet reaches or leaves a process; its connections stay open", (*PROCESSES, *PRODUCERS), (1.0, 20.0)
    ),
    "lose-answers": FaultKind(
        "no packet reaches a process; what it sends arrives", (*PROCESSES, *PRODUCERS), (1.0, 20.0)
    ),
    "lose-requests": FaultKind(
        "no packet leaves a process; what is sent to it arrives", (*PROCESSES, *PRODUCERS), (1.0, 20.0)
    ),
    "lose-machine": FaultKind(
        "a process is cut off and killed at once, and starts with another address", MACHINES, (0.5, 2.0)
    ),
    "isolate-valkey": FaultKind("no packet reaches or leaves Valkey", (VALKEY,), (1.0, 12.0)),
    "isolate-postgres": FaultKind("no packet reaches or leaves Postgres", (POSTGRES,), (1.0, 12.0)),
    "lose-packets": FaultKind("a fifth of the packets to and from a server is lost", (VALKEY, POSTGRES), (2.0, 8.0)),
    "delay-packets": FaultKind(
        "packets to and from a server take up to 0.3 s, and overtake each other", (VALKEY, POSTGRES), (2.0, 8.0)
    ),
    "skew-clock": FaultKind("the clock of a producer steps, by minutes", (CLOCK,), (0.0, 0.0)),
}

ONLY_WITH_OUTBOX: Final = frozenset({"lose-valkey"})
"""They lose jobs that are nowhere else. So they happen in a phase in which all jobs are in an outbox."""
ONLY_BEFORE: Final = frozenset({"crash-valkey", "kill-http-server", "skew-clock"})
"""They do not happen in that phase: Valkey has kept nothing to read, and the producers with the clock and of the HTTP
server have ended."""

ONLY_WITH_NAMESPACES: Final = frozenset(
    {
        *("isolate", "lose-answers", "lose-requests", "lose-machine", "isolate-valkey", "isolate-postgres"),
        *("lose-packets", "delay-packets"),
    }
)
"""They act on packets between network namespaces."""
ONLY_WITHOUT_NAMESPACES: Final = frozenset({"cut-valkey", "stall-valkey", "cut-postgres", "stall-postgres", PROMOTE})
"""They act on connections, through proxies on the loopback interface."""


def kinds_of(*, has_namespaces: bool) -> frozenset[str]:
    """The kinds that are possible with network namespaces, or without."""
    return frozenset(FAULT_KINDS) - (ONLY_WITHOUT_NAMESPACES if has_namespaces else ONLY_WITH_NAMESPACES)
