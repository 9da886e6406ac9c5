"""Gauges of the servers: what waits and what is overdue, read from Redis and Postgres at each scrape.

Maintenance serves them, because they are the same whichever process reads them.
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
_ANSWER_MILLISECONDS: Final = 1_000 * _ANSWER_SECONDS


class ServerGauges(Collector):
    """Reads both servers. Of a server that is away only `rollbook_server_up` is reported, as 0."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = parse_broker_url(settings.broker_url)[0] if settings.broker_url else None
        self._lock = threading.Lock()

    def describe(self) -> list[GaugeMetricFamily]:
        # otherwise the registry would read the servers when this is registered
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
                connection.execute(f"SET statement_timeout = {_ANSWER_MILLISECONDS}")
                waits = find_lock_waits(connection)
                return find_backlog(
                    connection, now=time.time_ns() // 1_000, erasure_delay=self._settings.erasure_delay
                ), waits
        except psycopg.Error:
            return None


def _of_queues(found: Queues) -> Iterator[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("rollbook_queue_jobs", "Jobs that wait in a queue.", labels=["queue"])
    ages = GaugeMetricFamily("rollbook_queue_oldest_seconds", "Age of the oldest job of a queue.", labels=["queue"])
    for queue in found.queues:
        jobs.add_metric([queue.name], queue.jobs)
        ages.add_metric([queue.name], queue.oldest or 0)
    yield jobs
    yield ages
    yield _gauge(
        "rollbook_inflight_jobs", "Jobs that workers have claimed and not acknowledged.", found.in_flight.messages
    )
    yield _gauge(
        "rollbook_inflight_oldest_seconds",
        "Seconds since the oldest lease renewal.",
        found.in_flight.oldest_renewal or 0,
    )
    yield _gauge(
        "rollbook_unprocessable_messages",
        "Messages in Redis that could not be stored as dead letters.",
        found.unprocessable,
    )


def _of_backlog(found: Backlog) -> Iterator[GaugeMetricFamily]:
    yield _gauge("rollbook_deferred_jobs", "Deferred jobs.", found.deferred)
    yield _gauge("rollbook_deferred_due_jobs", "Deferred jobs that are due.", found.due)
    yield _gauge("rollbook_deferred_overdue_seconds", "Seconds since the first due job was due.", found.overdue or 0)
    dead_letters = GaugeMetricFamily("rollbook_dead_letters", "Stored dead letters.", labels=["code"])
    for row in found.dead_letters:
        dead_letters.add_metric([row.code], row.count)
    yield dead_letters
    yield _gauge("rollbook_erasures_overdue", "Deleted users whose erasure is overdue.", found.overdue_erasures)


def _of_lock_waits(found: LockWaits) -> Iterator[GaugeMetricFamily]:
    yield _gauge("rollbook_lock_waits", "Transactions that wait for a lock on our tables.", found.transactions)
    yield _gauge("rollbook_lock_waits_oldest_seconds", "Seconds that the first of them has waited.", found.oldest)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
