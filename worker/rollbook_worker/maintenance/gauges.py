"""Gauges: what waits and what is overdue, read from Redis and Postgres on each scrape. Maintenance serves them: such
numbers are the same wherever they are read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.database.url import libpq_url
from rollbook_shared.observability.inspection import (
    Backlog,
    LockWaits,
    Queues,
    find_backlog,
    find_lock_waits,
    find_queues,
)
from rollbook_shared.settings import Settings

_CONNECT_SECONDS: Final = 3
_ANSWER_SECONDS: Final = 5


class Gauges(Collector):
    """Looks at both servers. One that is away is told as such, and its numbers are left out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = parse_broker_url(settings.broker_url)[0] if settings.broker_url else None
        self._lock = threading.Lock()

    def describe(self) -> list[GaugeMetricFamily]:
        # else the registry would look at the servers to learn what there is
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See prometheus_client."""
        with self._lock:
            queues, database = self._queues(), self._database()
        up = GaugeMetricFamily("rollbook_server_up", "Whether the server answers.", labels=["server"])
        up.add_metric(["redis"], queues is not None)
        up.add_metric(["postgres"], database is not None)
        yield up
        if queues is not None:
            yield from _of_queues(queues)
        if database is not None:
            backlog, waits = database
            yield from _of_backlog(backlog)
            yield from _of_lock_waits(waits)

    def _queues(self) -> Queues | None:
        if self._redis is None:
            return None
        try:
            with self._redis.client(connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER_SECONDS) as client:
                return find_queues(client)
        except (RedisError, OSError):
            return None

    def _database(self) -> tuple[Backlog, LockWaits] | None:
        try:
            with psycopg.connect(
                libpq_url(self._settings.need_database_url()),
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="rollbook metrics",
            ) as connection:
                connection.execute(f"SET statement_timeout = {_ANSWER_SECONDS * 1_000}")
                waits = find_lock_waits(connection)
                return find_backlog(
                    connection, now=time.time_ns() // 1_000, erasure_delay=self._settings.erasure_delay
                ), waits
        except psycopg.Error:
            return None


def _of_queues(found: Queues) -> Iterator[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("rollbook_queue_jobs", "Jobs that wait in a queue.", labels=["queue"])
    ages = GaugeMetricFamily("rollbook_queue_oldest_seconds", "How long the oldest of them waits.", labels=["queue"])
    for queue in found.queues:
        jobs.add_metric([queue.name], queue.jobs)
        ages.add_metric([queue.name], queue.oldest or 0)
    yield jobs
    yield ages
    yield _one("rollbook_inflight_jobs", "Jobs that workers have taken and not acknowledged.", found.in_flight.messages)
    yield _one(
        "rollbook_inflight_oldest_seconds",
        "Seconds since the oldest lease renewal.",
        found.in_flight.oldest_renewal or 0,
    )
    yield _one("rollbook_unprocessable_messages", "Messages in Redis that no worker could take.", found.unprocessable)


def _of_backlog(found: Backlog) -> Iterator[GaugeMetricFamily]:
    yield _one("rollbook_deferred_jobs", "Jobs that are to take effect later.", found.deferred)
    yield _one("rollbook_deferred_due_jobs", "Those of them that are due.", found.due)
    yield _one("rollbook_deferred_overdue_seconds", "How long the first of these has been due.", found.overdue or 0)
    letters = GaugeMetricFamily("rollbook_dead_letters", "Dead letters that are kept.", labels=["code"])
    for letter in found.dead_letters:
        letters.add_metric([letter.code], letter.count)
    yield letters
    yield _one("rollbook_erasures_overdue", "Deletes whose users should have been erased.", found.overdue_erasures)


def _of_lock_waits(found: LockWaits) -> Iterator[GaugeMetricFamily]:
    yield _one("rollbook_lock_waits", "Transactions on our tables that wait for a lock now.", found.transactions)
    yield _one("rollbook_lock_waits_oldest_seconds", "How long the first of them has waited.", found.oldest)


def _one(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, said, value=value)
