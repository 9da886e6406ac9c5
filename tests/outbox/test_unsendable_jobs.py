"""A job that the broker does not accept stops no other job. A broker that is away or full makes no job unsendable."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import psycopg
import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.outbox.relays import MakeRelay

from rollbook import Rollbook, Unavailable
from rollbook.outbox import create_table
from rollbook_ops.relay import unsendable_jobs
from rollbook_ops.relay.job_key import JobKey
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_ops.relay.unsendable_jobs import send_individually
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.limits import JOB_BYTES

MEGABYTE = 1024 * 1024
REJECTED = Unavailable("rejected")


class FakeBroker:
    """Accepts jobs up to a size, until it is full."""

    def __init__(self, *, longest: int = 10, room: int = 1_000) -> None:
        self.sent: list[str] = []
        self._longest = longest
        self._room = room

    def publish(self, job: EncodedJob) -> None:
        if len(job.body) > self._longest or len(self.sent) >= self._room:
            raise REJECTED
        self.sent.append(job.id)


def jobs(**sizes: int) -> dict[JobKey, EncodedJob]:
    return {
        JobKey(id_, b""): EncodedJob(id=id_, kind="identify", body="x" * size, summary="")
        for id_, size in sizes.items()
    }


def ids(keys: Iterable[JobKey]) -> set[str]:
    return {key.id for key in keys}


def test_each_job_that_fails_while_others_are_accepted_is_unsendable() -> None:
    broker = FakeBroker()

    result = send_individually(jobs(a=20, b=5, c=30, d=6), broker.publish, REJECTED)

    assert (ids(result.sent), ids(result.unsendable)) == ({"b", "d"}, {"a", "c"})


def test_a_broker_that_becomes_full_makes_no_job_unsendable() -> None:
    broker = FakeBroker(room=2)

    with pytest.raises(Unavailable):
        send_individually(jobs(a=5, b=5, c=5, d=5), broker.publish, REJECTED)


def test_a_broker_that_accepts_nothing_is_tried_twice_only() -> None:
    tried: list[str] = []

    def reject(job: EncodedJob) -> None:
        tried.append(job.id)
        raise REJECTED

    with pytest.raises(Unavailable):
        send_individually(jobs(**{f"j{number}": 5 for number in range(100)}), reject, REJECTED)

    assert len(tried) == 2


def test_a_job_alone_is_not_unsendable() -> None:
    with pytest.raises(Unavailable):
        send_individually(jobs(a=20), FakeBroker().publish, REJECTED)


def test_what_is_not_tried_in_time_is_left_for_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsendable_jobs, "MAX_SECONDS", -1.0)

    result = send_individually(jobs(a=20, b=5, c=30), FakeBroker().publish, REJECTED)

    assert (ids(result.sent), result.unsendable) == ({"b"}, [])


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    """A broker that accepts no text of more than a megabyte."""
    with connect_to_broker(broker_url) as broker:
        broker.flushdb()
        before = broker.config_get("proto-max-bulk-len")["proto-max-bulk-len"]
        broker.config_set("proto-max-bulk-len", MEGABYTE)
        yield broker
        broker.config_set("proto-max-bulk-len", before)


def write(rb: Rollbook, backend: psycopg.Connection, *, large: int, small: int, before: int = 0) -> None:
    for number in range(before):
        rb.outbox(backend).users.identify(f"before{number}")
    for number in range(large):
        backend.execute(
            "INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES (%s, '', 'identify', %s)"
            " ON CONFLICT DO NOTHING",
            [f"large{number}", "x" * MEGABYTE],
        )
    backend.commit()
    for number in range(small):
        rb.outbox(backend).users.identify(f"u{number}", job_id=f"small{number}")
    backend.commit()


def unsent(backend: psycopg.Connection) -> list[tuple[str, int, bool]]:
    """Of each unsent job its id, the attempts, and whether it is due."""
    rows = backend.execute(
        "SELECT id, attempts, due_at <= now() FROM rollbook_outbox WHERE sent_at IS NULL ORDER BY id"
    ).fetchall()
    backend.commit()
    return rows


def test_jobs_after_one_that_the_broker_does_not_accept_are_sent(
    rb: Rollbook,
    backend: psycopg.Connection,
    make_relay: MakeRelay,
    broker: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write(rb, backend, large=2, small=3)
    relay = make_relay()
    with caplog.at_level(logging.WARNING):
        relay.send()

    assert unsent(backend) == [("large0", 1, False), ("large1", 1, False)]
    assert broker.llen("default") >= 3
    assert [record.__dict__["job_id"] for record in caplog.records if "does not accept" in record.msg] == [
        "large0",
        "large1",
    ]
    assert relay.send() == 0


def test_a_job_that_the_broker_did_not_accept_is_sent_when_it_does(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: redis.Redis
) -> None:
    write(rb, backend, large=1, small=1)
    relay = make_relay()
    relay.send()
    broker.config_set("proto-max-bulk-len", 512 * MEGABYTE)

    backend.execute("UPDATE rollbook_outbox SET due_at = now() WHERE sent_at IS NULL")
    backend.commit()
    relay.send()

    assert unsent(backend) == []


def test_the_backoff_of_an_unsendable_job_grows_with_its_attempts(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: redis.Redis
) -> None:
    relay = make_relay()
    waits: list[float] = []
    for _ in range(4):
        write(rb, backend, large=1, small=1)
        backend.execute("UPDATE rollbook_outbox SET due_at = now(), sent_at = NULL")
        backend.commit()
        relay.send()
        row = backend.execute(
            "SELECT extract(epoch FROM due_at - now())::float FROM rollbook_outbox WHERE id = 'large0'"
        ).fetchone()
        backend.commit()
        assert row is not None
        waits.append(row[0])
        backend.execute("DELETE FROM rollbook_outbox WHERE id LIKE 'small%'")
        backend.commit()

    # 15 s at most, and then 60 s at least, less what the machine took until it was read
    assert waits[0] <= 15 < waits[3]


def test_a_broker_that_is_away_makes_no_job_unsendable(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay
) -> None:
    write(rb, backend, large=1, small=2)

    with pytest.raises(Unavailable):
        make_relay(broker="redis://127.0.0.1:1/0").send()

    assert unsent(backend) == [("large0", 0, True), ("small0", 0, True), ("small1", 0, True)]


def test_unsendable_jobs_are_counted_apart(
    rb: Rollbook, backend: psycopg.Connection, backend_url: str, make_relay: MakeRelay, broker: redis.Redis
) -> None:
    write(rb, backend, large=2, small=3)
    make_relay().send()
    write(rb, backend, large=0, small=1, before=1)
    table = OutboxTable(backend_url)
    counts = table.count()
    table.close()

    assert (counts.unsent, counts.unsendable, counts.unfinished) == (1, 2, 3)
    assert counts.oldest_unsendable_seconds is not None


def test_the_table_rejects_a_job_that_no_client_makes(backend: psycopg.Connection) -> None:
    insert = "INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES ('j', '', 'k', repeat('x', %s))"
    backend.execute(insert, [JOB_BYTES])
    backend.rollback()

    with pytest.raises(psycopg.errors.CheckViolation, match="rollbook_outbox_body_size"):
        backend.execute(insert, [JOB_BYTES + 1])


def test_a_table_from_before_the_bound_gets_it_and_keeps_its_rows(backend: psycopg.Connection) -> None:
    backend.execute("ALTER TABLE rollbook_outbox DROP CONSTRAINT rollbook_outbox_body_size")
    insert = "INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES (%s, '', 'k', repeat('x', %s))"
    backend.execute(insert, ["before", JOB_BYTES + 1])

    create_table(lambda statement: backend.execute(statement.encode()))

    with pytest.raises(psycopg.errors.CheckViolation):
        backend.execute(insert, ["after", JOB_BYTES + 1])
