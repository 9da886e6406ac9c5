"""What still waits at the end, when not all was done in time: it is late, and not lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import redis
from benchmarks.chaos.stage import KEPT_LETTERS, UNACKED

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.routing import QUEUES
from rollbook_worker.celery_ext.unprocessable import job_in


def waiting_in_redis(client: redis.Redis) -> Counter[str]:
    """By the ids of jobs, how many messages wait in a queue, were claimed by a worker, or are kept for a person."""
    look: Any = client.pipeline(transaction=True)
    for queue in (*QUEUES, KEPT_LETTERS):
        look.lrange(queue, 0, -1)
    look.hvals(UNACKED)
    *queues, claimed = look.execute()
    messages = [item.decode() for queue in queues for item in queue]
    messages += [json.dumps(json.loads(entry)[0]) for entry in claimed]
    return Counter(_ids(map(job_in, messages)))


def waiting_in_outbox(application: psycopg.Connection) -> frozenset[str]:
    """The ids of the jobs of which the relay does not know yet that they are decided."""
    return frozenset(id_ for (id_,) in application.execute("SELECT id FROM rollbook_outbox"))


def _ids(jobs: Iterable[str]) -> Iterator[str]:
    for job in jobs:
        try:
            yield decode(job).id
        except Undecodable:  # a letter of the transport's, say
            continue
