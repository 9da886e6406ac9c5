"""The history of a run: what the producers recorded, and what Postgres shows at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.chaos.delivery_history import DeliveryHistory, collect_deliveries
from benchmarks.chaos.environment import Environment
from benchmarks.chaos.operations import read_journal
from benchmarks.chaos.plan import BUFFERED_PRODUCER, HTTP_PRODUCER, Plan
from benchmarks.chaos.row_details import Details, read_details
from benchmarks.chaos.unfinished_jobs import waiting_in_outbox, waiting_in_redis

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.postgres_world import read_world
from rollbook_shared.jobs.models import BulkIdentify, Identify, Job, UserUpdate
from rollbook_shared.reference.world import World

_REPEATED: Final = """
SELECT job_id FROM rollbook.activities GROUP BY job_id, recipient HAVING count(*) > 1
UNION
SELECT job_id FROM rollbook.messages GROUP BY job_id, recipient, channel HAVING count(*) > 1
"""
_TOO_LATE: Final = "SELECT id FROM rollbook.jobs WHERE detail @> '{\"too_old\": true}'"


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """The row of a job in `rollbook.jobs`."""

    state: str
    duplicates: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """All that is known at the end of a run."""

    jobs: tuple[Job, ...]
    """The distinct jobs that should have been applied: confirmed by Redis, or committed to an outbox."""
    confirmed: int
    """The number of confirmed deliveries."""
    to_redis: Mapping[str, int]
    """Job id -> deliveries that Redis confirmed to a producer."""
    unpublished: frozenset[str] = frozenset()
    """Jobs of the buffered producer whose user is in no bulk job."""
    ledger: Mapping[str, LedgerEntry] = field(default_factory=dict)
    dead: Mapping[str, str] = field(default_factory=dict)
    """Id -> code of each dead letter."""
    in_redis: Mapping[str, int] = field(default_factory=dict)
    """Job id -> messages that wait in Redis. Empty if everything was done in time."""
    in_outbox: frozenset[str] = frozenset()
    """Jobs that wait in the outbox, likewise."""
    too_late: frozenset[str] = frozenset()
    """Triggers that are older than the retention."""
    said_to_be_too_late: frozenset[str] = frozenset()
    """Those whose status says so."""
    repeated: frozenset[str] = frozenset()
    """Jobs with two activities for a recipient, or two messages for a recipient on one channel."""
    world: World
    details: Details = field(default_factory=dict)
    """Row id -> its details, of messages and activities that belong to a user."""
    messages: DeliveryHistory = field(default_factory=DeliveryHistory)
    """What became of messages that were to leave."""


def collect_history(environment: Environment, plan: Plan, journals: Iterable[Path]) -> History:
    """Collect the history."""
    to_redis: Counter[str] = Counter()
    sent = 0
    known = {job.id: job for job in plan.jobs}
    confirmed: set[str] = set()
    for journal in journals:
        for job in read_journal(journal):
            sent += 1
            confirmed.add(job.id)
            if BUFFERED_PRODUCER in journal.name or HTTP_PRODUCER in journal.name:
                known[job.id] = job
            if "outbox" not in journal.name:
                to_redis[job.id] += 1
    with environment.connect() as connection:
        ledger = connection.execute("SELECT id, state, duplicates FROM rollbook.jobs").fetchall()
        dead = connection.execute("SELECT id, code FROM rollbook.dead_letters").fetchall()
        repeated = connection.execute(_REPEATED).fetchall()
        too_late = connection.execute(_TOO_LATE).fetchall()
        details = read_details(connection)
        messages = collect_deliveries(connection, environment.delivery_journals(), environment.sink.taken)
    with environment.connect(application=True) as application, environment.redis() as client:
        in_redis, in_outbox = waiting_in_redis(client), waiting_in_outbox(application)
    database = DemoDatabase(environment.database_url)
    try:
        world = read_world(database)
    finally:
        database.close()
    return History(
        jobs=tuple(job for job in known.values() if job.id in confirmed),
        confirmed=sent,
        to_redis=to_redis,
        unpublished=frozenset(_unpublished(plan, known.values())),
        ledger={id_: LedgerEntry(state=state, duplicates=duplicates) for id_, state, duplicates in ledger},
        dead=dict(dead),
        in_redis=in_redis,
        in_outbox=in_outbox,
        too_late=plan.too_late,
        said_to_be_too_late=frozenset(job_id for (job_id,) in too_late),
        repeated=frozenset(job_id for (job_id,) in repeated),
        world=world,
        details=details,
        messages=messages,
    )


def _unpublished(plan: Plan, jobs: Iterable[Job]) -> Iterator[str]:
    buffered = {
        (user.id, timestamp)
        for job in jobs
        if isinstance(job, BulkIdentify) and job.timestamps
        for user, timestamp in zip(job.users, job.timestamps, strict=True)
        if isinstance(user, UserUpdate)
    }
    for phase in plan.phases:
        for operation in phase.operations.get(BUFFERED_PRODUCER, ()):
            if (
                isinstance(operation.job, Identify)
                and (operation.job.user.id, operation.job.occurred_at) not in buffered
            ):
                yield operation.job.id
