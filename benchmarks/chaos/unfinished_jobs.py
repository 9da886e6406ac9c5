"""Jobs that still wait at the end of a run that was not done in time. They are late and not lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import redis
from benchmarks.chaos.environment import UNACKED, UNPROCESSABLE

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.jobs.codec import decode
from rollbook_worker.celery_ext.dead_letters import job_in


def waiting_in_redis(client: redis.Redis) -> Counter[str]:
    """Job id -> messages that wait in a queue, are in flight, or are unprocessable."""
    look: Any = client.pipeline(transaction=True)
    for queue in (*QUEUES, UNPROCESSABLE):
        look.lrange(queue, 0, -1)
    look.hvals(UNACKED)
    *queues, claimed = look.execute()
    messages = [item.decode() for queue in queues for item in queue]
    messages += [json.dumps(json.loads(entry)[0]) for entry in claimed]
    return Counter(_ids(map(job_in, messages)))


def waiting_in_outbox(application: psycopg.Connection) -> frozenset[str]:
    """The ids of jobs that the relay does not know to be finished."""
    return frozenset(id_ for (id_,) in application.execute("SELECT id FROM rollbook_outbox WHERE finished_at IS NULL"))


def _ids(jobs: Iterable[str]) -> Iterator[str]:
    for job in jobs:
        try:
            yield decode(job).id
        except Undecodable:  # such as a dead letter of the transport
            continue
