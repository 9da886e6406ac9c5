"""Jobs, dead letters, deliveries and an hour of measurements, for the pages of operators."""

from __future__ import annotations

import json
import math
import time
from typing import Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from rollbook_shared.jobs.codec import VERSION, encode
from rollbook_shared.jobs.models import Identify, Trigger, UserUpdate
from rollbook_worker.store import ReceivedJob, Store

NASTY: Final = "<script>window.evil = 1</script>\u202e\U0001f600"
GIVEN_UP: Final = str(UUID(int=1))
_DELIVERIES: Final = """
INSERT INTO rollbook.deliveries
    (message_id, channel, workflow, priority, state, reason, attempts, due_at, expires_at, created_at, changed_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'mail', 'welcome', 0, state, reason, n,
    CASE WHEN state = 'pending' THEN now() END, 'infinity', now(), now()
FROM (VALUES
    (1, 'undeliverable', 'mailbox unavailable'),
    (2, 'undeliverable', %(nasty)s),
    (3, 'sent', NULL),
    (4, 'pending', NULL)
) AS n (n, state, reason)
"""


def fill(store: Store, database_url: str) -> None:
    """Fill the database."""
    now = time.time_ns() // 1_000
    later = now + 86_400_000_000
    jobs = [
        encode(Identify(id="applied-1", occurred_at=now, user=UserUpdate(id="ann", traits={"plan": "pro"}))),
        encode(Trigger(id="trigger-1", occurred_at=now, workflow="welcome", recipients=("ann", "not-known"))),
        encode(Identify(id="later-1", occurred_at=later, deferred=True, requested_at=now, user=UserUpdate(id="ann"))),
        dead_job("edit-me"),
        dead_job("nasty", NASTY),
        json.dumps({"v": VERSION, "id": "unknown-kind", "kind": NASTY, "occurred_at": now}),
        "no job",
        encode(Identify(id="applied-1", occurred_at=now, user=UserUpdate(id="ann", traits={"plan": "free"}))),
    ]
    for job in jobs:
        store.apply([ReceivedJob.of(job)], now=now)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_DELIVERIES, {"nasty": NASTY})
        rows = [(number, Jsonb(figures(number))) for number in range(0, 3_590, 10) if not 1_200 < number < 1_500]
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO rollbook.measurements (measured_at, figures)"
                " VALUES (date_bin('10 seconds', now(), 'epoch') - %s * interval '1 second', %s)"
                " ON CONFLICT DO NOTHING",
                rows,
            )


def dead_job(job_id: str, email: str = "no address") -> str:
    """A job that becomes a dead letter, with the code `invalid`."""
    user = {"id": job_id, "traits": {"email": email, "plan": "secret-plan"}}
    return json.dumps({"v": VERSION, "id": job_id, "kind": "identify", "occurred_at": 1_000, "user": user})


def figures(ago: int) -> dict[str, float]:
    """What was measured so many seconds ago."""
    wave = 1 + math.sin(ago / 300)
    return {
        "jobs_per_second": round(400 + 250 * wave, 1),
        "dead_letters_per_second": 0.1 if ago % 600 < 30 else 0,
        "latency_seconds.p50": 0.02 * wave + 0.01,
        "latency_seconds.p95": 0.09 * wave + 0.04,
        "latency_seconds.p99": 0.4 * wave + 0.1,
        "queue_jobs.default": round(30 * wave),
        "queue_jobs.bulk": round(800 * wave),
        "queue_oldest_seconds.default": 0.2 * wave,
        "queue_oldest_seconds.bulk": 12 * wave,
        "workers": 3,
        "workers.default": 3,
        "workers.bulk": 1,
        "inflight_jobs": round(200 * wave),
        "deliveries_per_second.sent": 12 * wave,
        "deliveries_per_second.undeliverable": 0.3 * wave,
        "deliveries_per_second.skipped": 1.5,
        "deliveries_due": round(40 * wave),
        "deliveries_oldest_due_seconds": 3 * wave,
        "deferred_jobs": 1,
        "deferred_overdue_seconds": 0,
        "dead_letters": 4,
        "outbox_unsent": round(5 * wave),
        "outbox_unfinished": round(40 * wave),
        "outbox_oldest_seconds": 0.4 * wave,
        "lock_waits": 0,
    }
