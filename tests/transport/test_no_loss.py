"""Workers are killed, cut off and stopped under load; every message is done at least once."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest
import redis
from kombu import pools
from tests.support.transport.harness import Field, Stream, kill
from tests.support.transport.makes import MAKES
from tests.support.waits import wait_until

RATE = 500


def assert_all_done(field: Field, sent: int) -> None:
    wait_until(field.is_drained, what="an empty broker")
    assert field.done() == set(range(sent))
    assert not field.redis.llen("letters")


def until_at_work(field: Field) -> None:
    """Wait for the middle of things."""
    before = field.runs()
    wait_until(lambda: field.runs() > before + RATE // 20, what="work")
    time.sleep(random.random() / 20)  # not always at the same point of a turn


@pytest.mark.parametrize(("pool", "concurrency"), [("solo", 1), ("threads", 4)])
def test_killed_workers_lose_no_message(field: Field, pool: str, concurrency: int) -> None:
    kill_some_at_work(field, pool, concurrency)


@pytest.mark.parametrize("field", MAKES[1:], indirect=True)
def test_killed_workers_lose_no_message_of_a_redis(field: Field) -> None:
    kill_some_at_work(field, "threads", 2)


def kill_some_at_work(field: Field, pool: str, concurrency: int) -> None:
    workers = [field.start(f"worker-{number}", pool=pool, concurrency=concurrency) for number in range(3)]
    wait_until(lambda: field.answer("worker-0", "worker-1", "worker-2"), what="the workers")

    with Stream(field, RATE) as stream:
        for worker in workers[:2]:
            until_at_work(field)
            kill(worker)
        until_at_work(field)

    assert_all_done(field, stream.sent)


@pytest.mark.parametrize("field", MAKES, indirect=True)
def test_cut_connections_lose_no_message(field: Field) -> None:
    field.start()
    wait_until(lambda: field.answer("worker"), what="the worker")
    with Stream(field, RATE) as stream:
        for _ in range(6):
            until_at_work(field)
            for kind in ("normal", "pubsub"):
                with suppress(redis.ConnectionError):
                    field.redis.client_kill_filter(_type=kind, skipme=True)

    pools.reset()  # type: ignore[no-untyped-call]  # ours were cut too
    assert_all_done(field, stream.sent)


def test_messages_of_a_suspended_worker_are_done_by_another(field: Field) -> None:
    jobs = list(range(10))
    field.send(*jobs, task="linger")
    stopped = field.start("stopped")
    wait_until(lambda: field.claimed() == 10, what="claiming")

    os.killpg(stopped.pid, signal.SIGSTOP)
    try:
        field.redis.set("go", 1)
        field.start("other")
        wait_until(lambda: field.done() == set(jobs), what="another doing them")
    finally:
        os.killpg(stopped.pid, signal.SIGCONT)


def test_a_busy_solo_worker_keeps_its_messages(field: Field) -> None:
    """Stock would give it to others, and again, for as long as the first is at it."""
    field.send("long", "next", task="linger")
    field.start("busy", pool="solo", concurrency=1)
    wait_until(lambda: field.redis.llen("begun") == 1, what="beginning")

    field.start("idle")
    wait_until(lambda: field.answer("idle"), what="the other")
    begun = time.monotonic()
    field.send("meanwhile")
    wait_until(lambda: field.done() == {"meanwhile"}, what="the other working")
    wait_until(lambda: time.monotonic() > begun + 3 * 1.5, what="three leases")  # nothing is to happen

    assert field.redis.llen("begun") == 1
    field.redis.set("go", 1)
    wait_until(lambda: field.done() == {"long", "next", "meanwhile"}, what="all")
    assert field.runs() == 3


def test_a_message_that_kills_its_worker_becomes_a_dead_letter(field: Field) -> None:
    field.start(pool="prefork", max_deliveries=2)
    field.send("killer", task="die")
    field.send(*range(50))

    wait_until(lambda: field.redis.lrange("letters", 0, -1) == [b"kills_worker"], what="the letter")
    wait_until(lambda: field.done() == set(range(50)), what="the others")
    assert int(field.redis.get("deaths") or 0) == 2
    wait_until(field.is_drained, what="an empty broker")
