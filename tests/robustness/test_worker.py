"""A real worker on a queue of bad messages: all become dead letters, valid jobs are applied, and it stays alive."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.builders import identify
from tests.support.robustness.broken_messages import MARKED, Envelope, foreign, good, job, unreadable
from tests.support.robustness.invalid_jobs import InvalidCase, corpus
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE
from rollbook_shared.jobs.codec import encode

EVERY = 5
"""Of the corpus every fifth case; the store alone is given all of them."""


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_makes_dead_letters_of_bad_messages_and_applies_the_rest(
    database_url: str, broker_url: str, tmp_path: Path, pool: str
) -> None:
    first = 0 if pool == "threads" else EVERY // 2
    bad = [*foreign(), *(job(case, number) for number, case in enumerate(_sendable()[first::EVERY]))]
    with psycopg.connect(database_url, autocommit=True) as connection, connect_to_broker(broker_url) as broker:
        connection.execute("DELETE FROM rollbook.dead_letters")
        for number, envelope in enumerate(bad):
            broker.lpush(DEFAULT_QUEUE, envelope.item)
            broker.lpush(
                DEFAULT_QUEUE, good(encode(identify(f"{pool}-{number}", at=1, plus=number)), 2_000_000 + number)
            )
        # when a job counts, its stamp says
        expired = good(encode(identify(f"{pool}-expired", at=1)), 3_900_000, expires="2020-01-01T00:00:00+00:00")
        broker.lpush(DEFAULT_QUEUE, expired)
        workers = Workers(database_url, broker_url, tmp_path)
        try:
            worker = workers.start(pool, pool=pool, threads=2)
            applied = "SELECT count(*) FROM rollbook.users WHERE starts_with(id, %s)"
            expected = (len(bad) + 1,)
            wait_until(lambda: connection.execute(applied, [f"{pool}-"]).fetchone() == expected, what="the good jobs")
            wait_until(lambda: _waiting(broker) == 0, what="an empty queue")

            dead_letters = connection.execute("SELECT reason, body FROM rollbook.dead_letters").fetchall()
            with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
                assert rb.users.identify(f"{pool}-after").wait(DEADLINE_SECONDS).state == "applied"
            assert worker.poll() is None
        finally:
            workers.stop()
    kept = [(reason, bytes(body).decode(errors="backslashreplace")) for reason, body in dead_letters]
    unsaid = [
        envelope.name for envelope in bad if not any(_has_reason_for(envelope, *dead_letter) for dead_letter in kept)
    ]
    assert unsaid == []
    assert all(reason for reason, _ in kept)
    assert MARKED not in "".join(reason for reason, _ in kept)
    assert MARKED not in workers.log(pool)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_keeps_queue_items_that_are_no_message(
    database_url: str, broker_url: str, tmp_path: Path, pool: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection, connect_to_broker(broker_url) as broker:
        broker.flushdb()
        connection.execute("DELETE FROM rollbook.dead_letters")
        for number, item in enumerate(unreadable()):
            broker.lpush(DEFAULT_QUEUE, item)
            broker.lpush(DEFAULT_QUEUE, good(encode(identify(f"beside-{pool}-{number}", at=1)), 4_000_000 + number))
        workers = Workers(database_url, broker_url, tmp_path)
        try:
            worker = workers.start(pool, pool=pool, threads=2)
            applied = "SELECT count(*) FROM rollbook.users WHERE starts_with(id, %s)"
            expected = (len(unreadable()),)
            wait_until(
                lambda: connection.execute(applied, [f"beside-{pool}-"]).fetchone() == expected, what="the good jobs"
            )
            wait_until(lambda: _waiting(broker) == 0, what="an empty queue")
            assert worker.poll() is None
        finally:
            workers.stop()
        kept = {*broker.lrange("dead_letters", 0, -1), *connection.execute("SELECT body FROM rollbook.dead_letters")}
    assert len(kept) == len(unreadable())
    assert MARKED not in workers.log(pool)


@pytest.mark.slow
def test_messages_of_100_mb_become_dead_letters_and_delay_no_other(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    large = encode(identify("large", at=1)).replace('"large"', f'"{"x" * 100_000_000}"')
    with psycopg.connect(database_url, autocommit=True) as connection, connect_to_broker(broker_url) as broker:
        broker.flushdb()
        connection.execute("DELETE FROM rollbook.dead_letters")
        # senders say in the header, too, what it is about, but not all of it
        for number, item in enumerate((good(large, 5_000_000, argsrepr="('large',)"), b"\xff" * 100_000_000)):
            broker.lpush(DEFAULT_QUEUE, item)
            broker.lpush(DEFAULT_QUEUE, good(encode(identify(f"beside-large-{number}", at=1)), 6_000_000 + number))
        workers = Workers(database_url, broker_url, tmp_path)
        try:
            worker = workers.spawn(threads=2)  # not `start`: while it claims a large one, Redis answers no one
            applied = "SELECT count(*) FROM rollbook.users WHERE starts_with(id, 'beside-large-')"
            wait_until(lambda: connection.execute(applied).fetchone() == (2,), what="the good jobs")
            wait_until(lambda: _waiting(broker) == 0, what="an empty queue")
            assert worker.poll() is None
        finally:
            workers.stop()
        dead_letters = connection.execute("SELECT code, reason, length(body) FROM rollbook.dead_letters").fetchall()
    assert [code for code, _, _ in dead_letters] == ["malformed", "malformed"]
    assert all("only its first" in reason and size < 5_000_000 for _, reason, size in dead_letters)


def test_several_hundred_bad_messages_are_sent() -> None:
    envelopes: list[Envelope] = [*foreign(), *(job(case, number) for number, case in enumerate(_sendable()[::EVERY]))]

    assert len({envelope.item for envelope in envelopes}) == len(envelopes) >= 400


def _sendable() -> list[InvalidCase]:
    """The cases that JSON can say."""
    return [case for case in corpus() if not isinstance(case.message, bytes | tuple)]


def _has_reason_for(envelope: Envelope, reason: str, body: str) -> bool:
    text = envelope.text.encode(errors="backslashreplace").decode()
    return envelope.word in reason and text in body.encode(errors="backslashreplace").decode()


def _waiting(broker: redis.Redis) -> int:
    return int(broker.llen(DEFAULT_QUEUE)) + int(broker.hlen("unacked"))
