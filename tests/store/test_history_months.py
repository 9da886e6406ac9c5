"""The history by month (rule 36): partitions are made ahead, and dropped with all that is too old."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import DAY, DAY_0, NOW, day, identify, mark, merge, trigger, user
from tests.support.conflicting_jobs import Delivery, deliveries
from tests.support.databases import ELSEWHERE, OTHER_SCHEMA
from tests.support.example_counts import examples
from tests.support.partitions import make_months, months_of
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import microseconds, stamp, stamp_floor
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_shared.registry import parse_registry
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.history_months import PARTITIONED, end_of_last, start_of_next_month

RETENTION: Final = timedelta(days=90)
JANUARY: Final = DAY_0
MAIL: Final = parse_registry('[channels.mail]\ntype = "email"\ndelivery = "claim"\n')


@pytest.fixture
def store(fresh_database_url: str) -> Iterator[OnPostgres]:
    """A store that keeps the history for ninety days, and delivers e-mail."""
    subject = OnPostgres(fresh_database_url)
    subject.store.close()
    subject.store = PostgresStore(fresh_database_url, message_retention=RETENTION, registry=lambda: MAIL)
    yield subject
    subject.close()


def count(store: OnPostgres, table: str) -> int:
    (found,) = store.connection.execute(f"SELECT count(*) FROM rollbook.{table}".encode()).fetchone() or (0,)
    return int(found)


def at(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("time", "begins"),
    [
        ("2026-01-01T00:00:00", "2026-02-01"),
        ("2026-01-31T23:59:59.999999", "2026-02-01"),
        ("2024-02-29T12:00:00", "2024-03-01"),
        ("2026-12-15T00:00:00", "2027-01-01"),
    ],
)
def test_the_next_month_begins_with_its_first_day(time: str, begins: str) -> None:
    assert start_of_next_month(at(time)) == at(begins)


@given(st.integers(0, at("3000-01-01")), st.integers(0, 40 * DAY), st.integers(0, 100 * DAY), st.integers(0, 100 * DAY))
def test_a_partition_ends_only_after_all_that_may_be_in_it(now: int, back: int, ahead: int, margin: int) -> None:
    begins_at = max(now - back, 0)

    end = end_of_last(stamp_floor(begins_at), now, ahead, margin)

    if end is None:
        assert begins_at > now + ahead
    else:
        assert end > max(stamp_floor(begins_at), stamp_floor(now + margin))
        assert start_of_next_month(int(end, 16) - 1) == int(end, 16)


def test_rule_36_without_a_retention_the_history_stays_in_one_partition(fresh_database_url: str) -> None:
    store = OnPostgres(fresh_database_url)
    arrive(store, encode(trigger("hello", [user("ann")], at=0)), now=day(0))

    assert store.store.history_months.make(now=day(0)) == 0
    assert store.store.history_months.drop(now=day(100_000)) == []
    assert [months_of(store.connection, table) for table in PARTITIONED] == [
        [f"{table}_first"] for table in PARTITIONED
    ]
    assert count(store, "messages") == 1
    store.close()


def test_rule_36_a_month_is_made_before_it_begins(store: OnPostgres) -> None:
    for today in range(0, 90, 10):
        store.store.history_months.make(now=day(today))

        for table in PARTITIONED:
            *_, last = months_of(store.connection, table)
            year, month = (int(part) for part in last.removeprefix(f"{table}_").split("_"))
            assert microseconds(datetime(year, month, 1, tzinfo=UTC)) > day(today + 35)

    assert months_of(store.connection, "messages") == [
        "messages_first",
        *(f"messages_2026_0{month}" for month in range(2, 6)),
    ]
    assert store.store.history_months.make(now=day(80)) == 0


def test_a_cut_that_comes_months_late_makes_a_longer_month(store: OnPostgres) -> None:
    store.store.history_months.make(now=day(0))
    arrive(store, encode(trigger("hello", [user("ann")], at=300)), now=day(300))

    store.store.history_months.make(now=day(301))

    assert months_of(store.connection, "messages") == [
        "messages_first",
        "messages_2026_02",
        "messages_2026_03",
        "messages_2026_12",
        "messages_2027_01",
    ]
    assert len(store.world()["messages"]) == 1


def test_rule_36_what_is_too_old_is_dropped_with_its_month(store: OnPostgres) -> None:
    for today in (0, 40, 70):
        store.store.history_months.make(now=day(today))
        job = trigger("hello", [user("ann", email="ann@example.com")], at=today, channels=("in_app", "email"))
        arrive(store, encode(job), now=day(today))
        arrive(store, encode(mark([message_id(job.id, "ann", "in_app")], "read", at=today)), now=day(today))
    february = start_of_next_month(JANUARY)
    oldest = february + RETENTION // timedelta(microseconds=1)

    assert store.store.history_months.drop(now=oldest) == []
    assert store.store.history_months.drop(now=oldest + DAY) == [f"{table}_first" for table in PARTITIONED]

    assert {table: count(store, table) for table in (*PARTITIONED, "engagements", "deliveries")} == {
        "messages": 4,
        "activities": 2,
        "triggers": 2,
        "engagements": 2,
        "deliveries": 2,
    }
    assert len(store.world()["messages"]) == 4
    assert store.store.history_months.drop(now=oldest + DAY) == []


def test_rule_36_a_dropped_message_does_not_come_back(store: OnPostgres) -> None:
    job = encode(trigger("hello", [user("ann", plan="pro"), "bo"], at=0))
    arrive(store, job, now=day(0))
    store.store.history_months.make(now=day(0))
    store.store.history_months.drop(now=day(200))
    store.store.cleanup.prune_jobs(now=day(200))
    forever = PostgresStore(store.url)

    for again in (store.store, forever):
        again.apply([ReceivedJob.of(job)], now=day(200))
        again.cleanup.prune_jobs(now=day(300))

    assert [count(store, table) for table in (*PARTITIONED, "deliveries", "unknown_recipients")] == [0, 0, 0, 0, 1]
    forever.close()


def test_rule_36_a_late_trigger_makes_no_message_and_says_so(store: OnPostgres) -> None:
    jobs = [trigger("old", [user("ann"), "bo"], at=0), trigger("new", [user("ann"), "bo"], at=50)]

    arrive(store, *map(encode, jobs), now=day(100))

    world = store.world()
    assert [message["workflow"] for message in world["messages"].values()] == ["new"]
    assert [activity["workflow"] for activity in world["activities"].values()] == ["new"]
    assert set(world["users"]) == {"ann"}
    assert {id_: detail for id_, (_, _, detail) in store.ledger().items()} == {
        jobs[0].id: {"too_old": True},
        jobs[1].id: {"skipped": ["bo"]},
    }
    assert [count(store, table) for table in ("triggers", "unknown_recipients")] == [1, 1]


def test_a_trigger_under_the_id_of_a_trigger_that_is_kept_makes_no_message(store: OnPostgres) -> None:
    arrive(store, encode(trigger("first", [user("ann")], at=1, job="it")), now=day(1))
    store.store.cleanup.prune_jobs(now=day(20))

    arrive(store, encode(trigger("second", [user("ann"), user("bo")], at=20, job="it")), now=day(20))

    world = store.world()
    assert [message["workflow"] for message in world["messages"].values()] == ["first"]
    assert set(world["users"]) == {"ann", "bo"}
    assert [count(store, table) for table in PARTITIONED] == [1, 1, 1]


def test_a_trigger_under_the_id_of_one_of_an_earlier_month_makes_no_second_delivery_of_a_message(
    store: OnPostgres,
) -> None:
    arrive(store, encode(trigger("first", ["ann"], at=1, job="it", channels=("email",))), now=day(1))
    assert store.store.history_months.make(now=day(1)) > 0
    store.store.cleanup.prune_jobs(now=day(50))

    second = trigger("second", ["ann", "bo"], at=50, job="it", channels=("email",))
    other = trigger("other", ["cy"], at=50, channels=("email",))
    arrive(store, encode(identify("bo", at=1)), encode(second), encode(other), now=day(50))

    made = store.connection.execute(
        "SELECT DISTINCT m.recipient, d.workflow FROM rollbook.deliveries AS d"
        " JOIN rollbook.messages AS m ON m.id = d.message_id ORDER BY m.recipient"
    ).fetchall()
    assert made == [("ann", "first"), ("bo", "second"), ("cy", "other")]
    assert count(store, "deliveries") == 3
    assert set(store.world()["users"]) == {"bo"}


def test_a_large_partition_is_cut_in_steps_between_which_rows_come(store: OnPostgres) -> None:
    fill(store, 8_000)
    end = stamp_floor(start_of_next_month(day(20)))

    def step() -> bool:
        (more,) = store.connection.execute("SELECT rollbook.cut_history('messages', %s)", (end,)).fetchone() or (None,)
        arrive(store, encode(trigger("hello", ["ann"], at=10, plus=count(store, "messages"))), now=day(10))
        return bool(more)

    assert [step() for _ in range(4)] == [True, True, False, False]
    assert months_of(store.connection, "messages") == ["messages_first", "messages_2026_02"]
    assert count(store, "messages_first") == 8_004
    assert constraints(store) == []


def test_a_cut_that_was_not_completed_does_not_stop_later_months(store: OnPostgres) -> None:
    fill(store, 8_000)
    store.connection.execute(
        "SELECT rollbook.cut_history('messages', %s)", (stamp_floor(start_of_next_month(JANUARY)),)
    )
    assert len(constraints(store)) == 1

    store.store.history_months.make(now=day(28))

    assert constraints(store) == []
    arrive(store, encode(trigger("hello", ["ann"], at=45)), now=day(45))
    assert count(store, "messages") == 8_001


def test_rows_after_the_end_are_never_lost_to_a_cut(store: OnPostgres) -> None:
    fill(store, 10)

    with pytest.raises(psycopg.errors.CheckViolation):
        store.connection.execute("SELECT rollbook.cut_history('messages', %s)", (stamp_floor(JANUARY),))

    assert months_of(store.connection, "messages") == ["messages_first"]
    assert count(store, "messages") == 10


@pytest.mark.parametrize("work", ["make", "drop"])
def test_what_changes_a_table_gives_up_if_the_table_is_locked(store: OnPostgres, work: str) -> None:
    store.store.history_months.make(now=day(0))
    jobs = store.store.history_months

    with psycopg.connect(store.url) as reader:
        reader.execute("SELECT count(*) FROM rollbook.messages, rollbook.triggers, rollbook.activities")
        with pytest.raises(Unavailable, match="lock"):
            jobs.make(now=day(100)) if work == "make" else jobs.drop(now=day(400))

    assert (jobs.make(now=day(100)) if work == "make" else len(jobs.drop(now=day(400)))) >= 3


def test_months_are_made_and_dropped_under_load(store: OnPostgres) -> None:
    """Workers apply triggers, late ones too, and readers read, while partitions come and go."""
    stopped = threading.Event()
    fill(store, 3_000)
    store.store.history_months.make(now=day(0))

    def work(worker: int) -> int:
        own = PostgresStore(store.url, message_retention=RETENTION)
        number = 0
        while not stopped.is_set():
            number += 1
            jobs = [
                trigger("hello", [user(f"u{worker}")], at=100, plus=number, job=f"new-{worker}-{number}"),
                trigger("hello", [user(f"u{worker}")], at=20, plus=number, job=f"late-{worker}-{number}"),
            ]
            received = [ReceivedJob.of(encode(job)) for job in jobs]
            # the month of the late one may be dropped meanwhile; a worker tries again too
            until_done(partial(own.apply, received, now=day(100)))
        own.close()
        return number

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(work, worker) for worker in range(2)]
        try:
            until_done(lambda: store.store.history_months.make(now=day(100)))
            until_done(lambda: store.store.history_months.drop(now=day(160)))
        finally:
            stopped.set()
        applied = sum(each.result() for each in running)

    assert "messages_first" not in months_of(store.connection, "messages")
    assert "messages_2026_05" in months_of(store.connection, "messages")
    assert [count(store, table) for table in PARTITIONED] == [applied] * 3


@pytest.fixture(scope="module")
def by_month(elsewhere: str) -> Iterator[OnPostgres]:
    """In another schema than the default one, and in a database without that."""
    make_months(elsewhere, DAY_0, NOW, schema=OTHER_SCHEMA)
    subject = OnPostgres(elsewhere, ELSEWHERE)
    yield subject
    subject.close()


@examples(25)
@given(delivery=deliveries())
def test_rule_24_any_delivery_by_month_converges_to_the_reference(by_month: OnPostgres, delivery: Delivery) -> None:
    by_month.reset()

    for batch in delivery.batches:
        arrive(by_month, *map(encode, batch), now=NOW)

    assert first_difference(by_month.world(), oracle(delivery.jobs)) is None


def test_rule_23_jobs_of_many_months_applied_again_change_nothing(by_month: OnPostgres) -> None:
    by_month.reset()
    jobs: list[Job] = [
        *(identify(id_, at=0) for id_ in ("ann", "guest")),
        *(trigger("hello", ["ann", "guest"], actor="ann", at=at, plus=1) for at in range(0, 240, 20)),
        merge("ann", "guest", at=150),
    ]
    arrive(by_month, *map(encode, jobs), now=NOW)
    world = by_month.world()
    by_month.store.cleanup.prune_jobs(now=NOW + 30 * DAY)

    arrive(by_month, *map(encode, reversed(jobs)), now=NOW + 30 * DAY)

    assert by_month.world() == world
    assert (
        len({name for (name,) in by_month.connection.execute("SELECT tableoid::regclass FROM rollbook.messages")}) == 8
    )


def fill(store: OnPostgres, rows: int) -> None:
    """Messages of the first day, about 150 bytes each."""
    store.connection.execute(
        "INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)"
        " SELECT gen_random_uuid(), 'job-' || n, %s || n || '!0001', 'someone-' || repeat('x', 60), 'in_app'"
        " FROM generate_series(1, %s) AS n",
        (stamp(day(0, 1), "job-")[:-5], rows),
    )


def constraints(store: OnPostgres) -> list[str]:
    rows = store.connection.execute("SELECT conname FROM pg_constraint WHERE starts_with(conname, 'ends_at_')")
    return [name for (name,) in rows]


def until_done(work: Callable[[], object]) -> None:
    """Do the work again while a table is locked, as maintenance does."""
    while True:
        try:
            work()
        except Unavailable:
            continue
        return
