"""Measures both servers every few seconds, for the plots of the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import redis.exceptions

from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.observability.inspection import find_outbox_report, find_queues, find_workers
from rollbook_worker.store import PostgresStore

_CONNECT_SECONDS: Final = 3
_ANSWER_SECONDS: Final = 5
_FAILURES: Final = (redis.exceptions.RedisError, OSError)


def measure(store: PostgresStore, broker_url: str | None) -> None:
    """Measure, unless another process has done so for this time. Figures of a Redis that is away are left out.

    Raises:
        Unavailable: Postgres is not available.
    """
    if store.measurements.is_due():
        store.measurements.take(redis_figures(broker_url) if broker_url else {})


def redis_figures(broker_url: str) -> Mapping[str, float]:
    """The figures of Redis; none if it is away."""
    for endpoint in parse_broker_url(broker_url):
        try:
            with endpoint.client(connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER_SECONDS) as client:
                return _figures(client)
        except _FAILURES:
            continue
    return {}


def _figures(client: Any) -> Mapping[str, float]:
    found, workers, outbox = find_queues(client), find_workers(client), find_outbox_report(client)
    figures: dict[str, float] = {
        "inflight_jobs": found.in_flight.messages,
        "unprocessable_messages": found.unprocessable,
        "workers": len(workers),
    }
    for queue in found.queues:
        figures[f"queue_jobs.{queue.name}"] = queue.jobs
        figures[f"queue_oldest_seconds.{queue.name}"] = queue.oldest or 0
    for name in QUEUES:
        figures[f"workers.{name}"] = sum(name in worker.queues for worker in workers)
    if outbox is not None:
        figures |= {
            "outbox_unsent": outbox.unsent,
            "outbox_unfinished": outbox.unfinished,
            "outbox_oldest_seconds": outbox.oldest,
        }
    return figures
