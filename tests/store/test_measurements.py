"""Maintenance measures every ten seconds, once for all processes, and keeps the last hour."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres

from rollbook import Rollbook
from rollbook.errors import InvalidRequest
from rollbook.models import Measurement
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.figures import EVERY_SECONDS, FIGURES, KEPT_SECONDS
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import ReceivedJob

SECOND = 1_000_000
AT = NOW - NOW % (EVERY_SECONDS * SECOND)
"""The time of a measurement."""
LATER = AT + 10 * SECOND
"""The next one, which measures what was done 5 to 15 seconds before it."""


@pytest.fixture(autouse=True)
def empty(on_postgres: OnPostgres) -> None:
    on_postgres.reset()


def measured(store: OnPostgres) -> tuple[Measurement, ...]:
    with Rollbook(database_url=store.url) as rb:
        return rb.measurements.list()


def test_a_measurement_says_what_was_done_and_what_waits(on_postgres: OnPostgres) -> None:
    jobs = [identify("ann", at=0, job=f"j{number}") for number in range(20)]
    received = [
        ReceivedJob.of(encode(job.model_copy(update={"occurred_at": AT - (number + 1) * SECOND // 10})))
        for number, job in enumerate(jobs)
    ]
    on_postgres.store.apply([*received, ReceivedJob.of("no job")], now=AT)

    on_postgres.store.measurements.take({"queue_jobs.default": 7}, now=LATER)

    (measurement,) = measured(on_postgres)
    assert measurement.at == datetime_of(LATER)
    figures = measurement.figures
    assert figures.keys() <= FIGURES.keys()
    assert (figures["jobs_per_second"], figures["dead_letters_per_second"]) == (2.0, 0.1)
    assert figures["latency_seconds.p50"] == pytest.approx(1.05)
    assert figures["latency_seconds.p99"] == pytest.approx(1.98, abs=0.02)
    assert (figures["queue_jobs.default"], figures["dead_letters"], figures["deferred_jobs"]) == (7, 1, 0)


def test_jobs_count_in_one_measurement_only(on_postgres: OnPostgres) -> None:
    on_postgres.store.apply([ReceivedJob.of(encode(identify("ann", at=0, job="j")))], now=AT)

    for number in range(4):
        on_postgres.store.measurements.take({}, now=AT + number * EVERY_SECONDS * SECOND)

    assert [each.figures["jobs_per_second"] for each in measured(on_postgres)] == [0, 0.1, 0, 0]


def test_imported_jobs_say_nothing_of_the_latency(on_postgres: OnPostgres) -> None:
    old = identify("ann", at=0, job="j").model_copy(update={"occurred_at": AT - 86_400 * SECOND})
    on_postgres.store.apply([ReceivedJob.of(encode(old))], now=AT)

    on_postgres.store.measurements.take({}, now=LATER)

    (measurement,) = measured(on_postgres)
    assert "latency_seconds.p50" not in measurement.figures
    assert measurement.figures["jobs_per_second"] == 0.1


def test_the_first_measurement_of_a_time_stands(on_postgres: OnPostgres) -> None:
    measurements = on_postgres.store.measurements

    assert measurements.is_due(now=AT)
    measurements.take({"workers": 1}, now=AT)
    assert not measurements.is_due(now=AT + 9 * SECOND)
    measurements.take({"workers": 2}, now=AT + 9 * SECOND)

    assert [each.figures["workers"] for each in measured(on_postgres)] == [1]
    assert measurements.is_due(now=AT + 10 * SECOND)


def test_measurements_older_than_an_hour_are_removed(on_postgres: OnPostgres) -> None:
    for number in (0, 1, KEPT_SECONDS // EVERY_SECONDS + 1):
        on_postgres.store.measurements.take({}, now=AT + number * EVERY_SECONDS * SECOND)

    assert [each.at for each in measured(on_postgres)] == [
        datetime_of(AT + EVERY_SECONDS * SECOND),
        datetime_of(AT + (KEPT_SECONDS + EVERY_SECONDS) * SECOND),
    ]


def test_measurements_are_read_from_a_time_on(on_postgres: OnPostgres) -> None:
    for number in range(3):
        on_postgres.store.measurements.take({}, now=AT + number * EVERY_SECONDS * SECOND)

    with Rollbook(database_url=on_postgres.url) as rb:
        found = rb.measurements.list(since=datetime_of(AT))
        with pytest.raises(InvalidRequest):
            rb.measurements.list(since=datetime_of(AT).replace(tzinfo=None))

    assert [each.at - datetime_of(AT) for each in found] == [timedelta(seconds=10), timedelta(seconds=20)]


def test_deliveries_are_measured_by_what_became_of_them(on_postgres: OnPostgres) -> None:
    rows = """
        INSERT INTO rollbook.deliveries
            (message_id, channel, workflow, priority, state, due_at, expires_at, created_at, changed_at)
        SELECT gen_random_uuid(), 'mail', 'w', 0, state, due_at, 'infinity', %(at)s, %(at)s
        FROM (VALUES ('sent', NULL), ('sent', NULL), ('skipped', NULL), ('pending', now() - interval '1 minute'))
            AS n (state, due_at)
    """
    with psycopg.connect(on_postgres.url, autocommit=True) as connection:
        connection.execute(rows, {"at": datetime_of(AT)})

    on_postgres.store.measurements.take({}, now=LATER)

    (measurement,) = measured(on_postgres)
    figures = measurement.figures
    assert [figures[f"deliveries_per_second.{state}"] for state in ("sent", "skipped", "undeliverable")] == [
        0.2,
        0.1,
        0,
    ]
    assert figures["deliveries_due"] == 1
    assert figures["deliveries_oldest_due_seconds"] >= 60
