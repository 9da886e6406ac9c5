"""What processes report of themselves in Redis: which workers there are, and how much waits in the outbox.

A report that is not renewed is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rollbook_shared.broker_keys import OUTBOX_REPORT, WORKER_REPORTS

REPORT_SECONDS: Final = 10.0
"""How often a process reports."""
FORGOTTEN_SECONDS: Final = 30.0
"""After how long a process that does not report is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker that has reported lately."""

    name: str
    """As Celery names it: `celery@host`."""
    queues: tuple[str, ...]
    """Those from which it takes jobs, sorted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxReport:
    """What a relay reported lately."""

    unsent: int
    unfinished: int
    oldest: float
    """Age of the oldest job that is not finished, in seconds."""


def report_worker(client: Any, name: str, queues: Iterable[str]) -> None:
    """Report that a worker takes jobs, by Redis' clock. Raises the client's errors."""
    seconds, _ = client.time()
    pipe = client.pipeline(transaction=False)
    pipe.zadd(WORKER_REPORTS, {f"{','.join(sorted(queues))} {name}": seconds})
    pipe.zremrangebyscore(WORKER_REPORTS, "-inf", seconds - FORGOTTEN_SECONDS)
    pipe.execute()


def find_workers(client: Any) -> list[Worker]:
    """The workers that have reported lately, by name. Raises the client's errors."""
    seconds, _ = client.time()
    members = client.zrangebyscore(WORKER_REPORTS, seconds - FORGOTTEN_SECONDS, "+inf")
    split = [member.decode(errors="replace").partition(" ") for member in members]
    workers = [Worker(name=name, queues=tuple(queues.split(","))) for queues, _, name in split]
    return sorted(workers, key=lambda worker: worker.name)


def report_outbox(client: Any, report: OutboxReport) -> None:
    """Report what waits in the outbox. Raises the client's errors."""
    value = orjson.dumps({"unsent": report.unsent, "unfinished": report.unfinished, "oldest": report.oldest})
    client.set(OUTBOX_REPORT, value, ex=int(FORGOTTEN_SECONDS))


def find_outbox_report(client: Any) -> OutboxReport | None:
    """What a relay reported lately; None: no relay reports. Raises the client's errors."""
    if (value := client.get(OUTBOX_REPORT)) is None:
        return None
    match orjson.loads(value):
        case {"unsent": int(unsent), "unfinished": int(unfinished), "oldest": int() | float() as oldest}:
            return OutboxReport(unsent=unsent, unfinished=unfinished, oldest=oldest)
        case _:
            return None
