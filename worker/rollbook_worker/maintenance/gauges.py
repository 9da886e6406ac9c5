"""Gauges of the servers: what waits and what is overdue, read from Redis and Postgres at each scrape.

Maintenance serves them, because they are the same whichever process reads them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.observability.inspection import (
    Backlog,
    DueDeliveries,
    LockWaits,
    Queues,
    find_backlog,
    find_due_deliveries,
    find_lock_waits,
    find_queues,
)
from rollbook_shared.settings import Settings
from rollbook_worker.store.overdue_months import OverdueMonths, find_overdue_months

_CONNECT_SECONDS: Final = 3
_ANSWER: Final = timedelta(seconds=5)


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
            backlog, deliveries, waits, months = database
            yield from _of_backlog(backlog)
            yield from _of_months(months)
            yield from _of_deliveries(deliveries)
            yield from _of_lock_waits(waits)

    def _queues(self) -> Queues | None:
        if self._redis is None:
            return None
        try:
            with self._redis.client(connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER.total_seconds()) as client:
                return find_queues(client)
        except (RedisError, OSError):
            return None

    def _database(self) -> tuple[Backlog, Sequence[DueDeliveries], LockWaits, OverdueMonths] | None:
        try:
            session = make_session(
                self._settings.need_database_url(),
                application_name="rollbook metrics",
                schema=self._settings.schema,
                statement_timeout=_ANSWER,
                connect_seconds=_CONNECT_SECONDS,
                is_read_only=True,
            )
            with open_session(session, timeout_connection(_ANSWER)) as connection, transaction(connection):
                waits = find_lock_waits(connection)
                backlog = find_backlog(connection, erasure_delay=self._settings.erasure_delay)
                months = find_overdue_months(connection, retention=self._settings.message_retention)
                return backlog, find_due_deliveries(connection), waits, months
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
    yield _gauge(
        "rollbook_unknown_recipients_overdue",
        "Unknown recipients of triggers whose messages should have been forgotten.",
        found.overdue_recipients,
    )


def _of_months(found: OverdueMonths) -> Iterator[GaugeMetricFamily]:
    overdue = GaugeMetricFamily(
        "rollbook_history_months_overdue",
        "Months of the history that should have been made ahead, or dropped, by now.",
        labels=["task"],
    )
    overdue.add_metric(["make"], len(found.not_made))
    overdue.add_metric(["drop"], len(found.not_dropped))
    yield overdue


def _of_deliveries(found: Sequence[DueDeliveries]) -> Iterator[GaugeMetricFamily]:
    due = GaugeMetricFamily("rollbook_deliveries_due", "Deliveries that a sender may claim now.", labels=["channel"])
    oldest = GaugeMetricFamily(
        "rollbook_deliveries_oldest_due_seconds",
        "Seconds since the first of these became due.",
        labels=["channel"],
    )
    for each in found:
        due.add_metric([each.channel], each.count)
        oldest.add_metric([each.channel], each.oldest)
    yield due
    yield oldest


def _of_lock_waits(found: LockWaits) -> Iterator[GaugeMetricFamily]:
    yield _gauge("rollbook_lock_waits", "Transactions that wait for a lock on our tables.", found.transactions)
    yield _gauge("rollbook_lock_waits_oldest_seconds", "Seconds that the first of them has waited.", found.oldest)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
