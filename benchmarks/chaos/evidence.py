"""What came of it: everything that the producers noted and that Postgres shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.chaos.details import Details, read_details
from benchmarks.chaos.plan import GATHERING, Plan
from benchmarks.chaos.sendings import read_journal
from benchmarks.chaos.stage import Stage
from benchmarks.chaos.waiting import waiting_in_outbox, waiting_in_redis

from rollbook.database import Database
from rollbook_ops.demo.postgres_world import read_world
from rollbook_shared.jobs.models import BulkIdentify, Identify, Job, UserUpdate
from rollbook_shared.reference.world import World

_REPEATED: Final = """
SELECT job_id FROM rollbook.activities GROUP BY job_id, recipient HAVING count(*) > 1
UNION
SELECT job_id FROM rollbook.messages GROUP BY job_id, recipient, channel HAVING count(*) > 1
"""
_MARKS: Final = "SELECT id::text, seen, read, archived FROM rollbook.owned_messages WHERE seen OR read OR archived"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the ledger says of a job."""

    state: str
    duplicates: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known at the end."""

    jobs: tuple[Job, ...]
    """What should have been applied: distinct, each confirmed by Redis or committed to an outbox."""
    confirmed: int
    """Deliveries."""
    to_redis: Mapping[str, int]
    """Of each job, the deliveries that Redis confirmed to a producer."""
    untold: frozenset[str] = frozenset()
    """What a buffer was told and put into no job."""
    ledger: Mapping[str, Decision] = field(default_factory=dict)
    dead: Mapping[str, str] = field(default_factory=dict)
    """Id and code of each dead letter."""
    in_redis: Mapping[str, int] = field(default_factory=dict)
    """Of each job, the messages that wait in Redis: none, if all was done in time."""
    in_outbox: frozenset[str] = frozenset()
    """Jobs that wait there, likewise."""
    repeated: frozenset[str] = frozenset()
    """Jobs of which there are two activities of one recipient, or two messages to one on one channel."""
    world: World
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of messages that belong to somebody, the marks they bear."""
    details: Details = field(default_factory=dict)
    """Of messages and activities that belong to somebody, what they tell of their trigger."""


def gather(stage: Stage, plan: Plan, journals: Iterable[Path]) -> Evidence:
    """Read it all."""
    to_redis: Counter[str] = Counter()
    sent = 0
    known = {job.id: job for job in plan.jobs}
    confirmed: set[str] = set()
    for journal in journals:
        for job in read_journal(journal):
            sent += 1
            confirmed.add(job.id)
            if GATHERING in journal.name:
                known[job.id] = job
            if "outbox" not in journal.name:
                to_redis[job.id] += 1
    with stage.connect() as connection:
        ledger = connection.execute("SELECT id, state, duplicates FROM rollbook.jobs").fetchall()
        dead = connection.execute("SELECT id, code FROM rollbook.dead_letters").fetchall()
        repeated = connection.execute(_REPEATED).fetchall()
        marked = connection.execute(_MARKS).fetchall()
        details = read_details(connection)
    with stage.connect(application=True) as application, stage.redis() as client:
        in_redis, in_outbox = waiting_in_redis(client), waiting_in_outbox(application)
    database = Database(stage.database_url)
    try:
        world = read_world(database)
    finally:
        database.close()
    return Evidence(
        jobs=tuple(job for job in known.values() if job.id in confirmed),
        confirmed=sent,
        to_redis=to_redis,
        untold=frozenset(_untold(plan, known.values())),
        ledger={id_: Decision(state=state, duplicates=duplicates) for id_, state, duplicates in ledger},
        dead=dict(dead),
        in_redis=in_redis,
        in_outbox=in_outbox,
        repeated=frozenset(job_id for (job_id,) in repeated),
        world=world,
        details=details,
        marks={
            id_: frozenset(name for name, is_set in zip(("seen", "read", "archived"), marks, strict=True) if is_set)
            for id_, *marks in marked
        },
    )


def _untold(plan: Plan, jobs: Iterable[Job]) -> Iterator[str]:
    gathered = {
        (user.id, moment)
        for job in jobs
        if isinstance(job, BulkIdentify) and job.timestamps
        for user, moment in zip(job.users, job.timestamps, strict=True)
        if isinstance(user, UserUpdate)
    }
    for act in plan.acts:
        for sending in act.sendings.get(GATHERING, ()):
            if isinstance(sending.job, Identify) and (sending.job.user.id, sending.job.occurred_at) not in gathered:
                yield sending.job.id
