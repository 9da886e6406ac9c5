"""The doctor and the metrics notice months of the history that maintenance has not made or dropped."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from tests.support.operations.findings import named

from rollbook_ops.doctor import Level
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_shared.domain.stamps import INFINITY, Stamp, occurred_at_of
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.gauges import ServerGauges
from rollbook_worker.maintenance.periodic import periodic_tasks
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.history_months import select_months

DAY = timedelta(days=1)
LONG = 3_650 * DAY


def make_months(url: str, *, ago: timedelta) -> None:
    """What maintenance made when it last ran, so long ago."""
    store = PostgresStore(url, message_retention=LONG)
    store.history_months.make(now=microseconds() - ago // timedelta(microseconds=1))
    store.close()


def run_maintenance(url: str, retention: timedelta) -> None:
    store = PostgresStore(url, message_retention=retention)
    for task in periodic_tasks(store):
        task.work()
    store.close()


def microseconds() -> int:
    return int(time.time() * 1_000_000)


def examine(url: str, retention: timedelta | None) -> dict[str, tuple[Level, str]]:
    """What the doctor says of both, and how many months the metrics count."""
    settings = Settings(database_url=url, message_retention=retention)
    registry = CollectorRegistry()
    registry.register(ServerGauges(settings))
    found = list(examine_postgres(settings, time.time))
    shown = {}
    for name, task in (("months ahead", "make"), ("months too old", "drop")):
        finding = named(found, name)
        shown[task] = (finding.level, finding.summary)
        overdue = registry.get_sample_value("rollbook_history_months_overdue", {"task": task})
        assert (overdue == 0) is (finding.level is Level.OK)
    return shown


@pytest.fixture
def first_end(url: str, connection: psycopg.Connection) -> timedelta:
    """How long ago the first of several months ended; maintenance has made the later ones in time."""
    for days in (200, 150, 100, 50, 0):
        make_months(url, ago=days * DAY)
    with connection.cursor() as cursor:
        (first, *_) = [month for month in select_months(cursor) if month.of_table == "messages"]
    assert first.valid_to != INFINITY
    return timedelta(microseconds=microseconds() - occurred_at_of(Stamp(first.valid_to)))


def test_without_a_retention_nothing_is_late(url: str) -> None:
    assert [level for level, _ in examine(url, None).values()] == [Level.OK, Level.OK]


def test_months_that_were_never_made_are_reported_until_maintenance_runs(url: str) -> None:
    assert examine(url, LONG)["make"] == (Level.WARNING, "not made for activities, messages, triggers")

    run_maintenance(url, LONG)

    assert [level for level, _ in examine(url, LONG).values()] == [Level.OK, Level.OK]


@pytest.mark.parametrize(
    ("ago", "level", "says"),
    [
        (0 * DAY, Level.OK, "made"),
        # the last month begins within the next 34 days
        (33 * DAY, Level.WARNING, "triggers"),
        # the last month began 35 days ago, or earlier
        (105 * DAY, Level.PROBLEM, "this month's rows go to an earlier one"),
    ],
)
def test_months_are_late_since_maintenance_stopped(url: str, ago: timedelta, level: Level, says: str) -> None:
    make_months(url, ago=ago)

    found = examine(url, LONG)["make"]

    assert (found[0], found[1].endswith(says)) == (level, True)
    run_maintenance(url, LONG)
    assert examine(url, LONG)["make"] == (Level.OK, "made")


@pytest.mark.parametrize(
    ("hours", "level", "summary"),
    [
        # an hour until it may be dropped, and two until maintenance must have done it
        (2.9, Level.OK, "none"),
        (15, Level.WARNING, "3 partitions not dropped, the oldest for 12 h"),
        (51, Level.PROBLEM, "3 partitions not dropped, the oldest for 2 d"),
    ],
)
def test_a_month_that_is_too_old_is_reported_until_maintenance_runs(
    url: str, first_end: timedelta, hours: float, level: Level, summary: str
) -> None:
    retention = first_end - timedelta(hours=hours)

    assert examine(url, retention)["drop"] == (level, summary)

    run_maintenance(url, retention)
    assert examine(url, retention)["drop"] == (Level.OK, "none")
