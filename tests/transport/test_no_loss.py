"""Workers are killed, cut off and suspended under load; every message is done at least once."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest
import redis
from kombu import pools
from tests.support.transport.harness import Stream, TransportHarness, kill
from tests.support.transport.makes import MAKES
from tests.support.waits import wait_until

RATE = 500


def assert_all_done(harness: TransportHarness, sent: int) -> None:
    wait_until(harness.is_drained, what="an empty broker")
    assert harness.done() == set(range(sent))
    assert not harness.redis.llen("dead_letters")


def until_at_work(harness: TransportHarness) -> None:
    """Wait for the middle of things."""
    before = harness.runs()
    wait_until(lambda: harness.runs() > before + RATE // 20, what="work")
    time.sleep(random.random() / 20)  # not always at the same point of a turn


@pytest.mark.parametrize(("pool", "concurrency"), [("solo", 1), ("threads", 4)])
def test_killed_workers_lose_no_message(harness: TransportHarness, pool: str, concurrency: int) -> None:
    kill_some_at_work(harness, pool, concurrency)


@pytest.mark.parametrize("harness", MAKES[1:], indirect=True)
def test_killed_workers_lose_no_message_of_a_redis(harness: TransportHarness) -> None:
    kill_some_at_work(harness, "threads", 2)


def kill_some_at_work(harness: TransportHarness, pool: str, concurrency: int) -> None:
    workers = [harness.start(f"worker-{number}", pool=pool, concurrency=concurrency) for number in range(3)]
    wait_until(lambda: harness.answer("worker-0", "worker-1", "worker-2"), what="the workers")

    with Stream(harness, RATE) as stream:
        for worker in workers[:2]:
            until_at_work(harness)
            kill(worker)
        until_at_work(harness)

    assert_all_done(harness, stream.sent)


@pytest.mark.parametrize("harness", MAKES, indirect=True)
def test_cut_connections_lose_no_message(harness: TransportHarness) -> None:
    harness.start()
    wait_until(lambda: harness.answer("worker"), what="the worker")
    with Stream(harness, RATE) as stream:
        for _ in range(6):
            until_at_work(harness)
            for kind in ("normal", "pubsub"):
                with suppress(redis.ConnectionError):
                    harness.redis.client_kill_filter(_type=kind, skipme=True)

    pools.reset()  # type: ignore[no-untyped-call]  # ours were cut too
    assert_all_done(harness, stream.sent)


def test_messages_of_a_suspended_worker_are_done_by_another(harness: TransportHarness) -> None:
    jobs = list(range(10))
    harness.send(*jobs, task="linger")
    stopped = harness.start("stopped")
    wait_until(lambda: harness.claimed() == 10, what="claiming")

    os.killpg(stopped.pid, signal.SIGSTOP)
    try:
        harness.redis.set("go", 1)
        harness.start("other")
        wait_until(lambda: harness.done() == set(jobs), what="another doing them")
    finally:
        os.killpg(stopped.pid, signal.SIGCONT)


def test_a_busy_solo_worker_keeps_its_messages(harness: TransportHarness) -> None:
    """Stock would give it to others, and again, for as long as the first is at it."""
    harness.send("long", "next", task="linger")
    harness.start("busy", pool="solo", concurrency=1)
    wait_until(lambda: harness.redis.llen("begun") == 1, what="beginning")

    harness.start("idle")
    wait_until(lambda: harness.answer("idle"), what="the other")
    begun = time.monotonic()
    harness.send("meanwhile")
    wait_until(lambda: harness.done() == {"meanwhile"}, what="the other working")
    wait_until(lambda: time.monotonic() > begun + 3 * 1.5, what="three leases")  # nothing is to happen

    assert harness.redis.llen("begun") == 1
    harness.redis.set("go", 1)
    wait_until(lambda: harness.done() == {"long", "next", "meanwhile"}, what="all")
    assert harness.runs() == 3


def test_a_message_that_kills_its_worker_becomes_a_dead_letter(harness: TransportHarness) -> None:
    harness.start(pool="prefork", max_deliveries=2)
    harness.send("killer", task="die")
    harness.send(*range(50))

    wait_until(lambda: harness.redis.lrange("dead_letters", 0, -1) == [b"kills_worker"], what="the dead letter")
    wait_until(lambda: harness.done() == set(range(50)), what="the others")
    assert int(harness.redis.get("deaths") or 0) == 2
    wait_until(harness.is_drained, what="an empty broker")
