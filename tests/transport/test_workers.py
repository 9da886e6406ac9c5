"""Real workers: how they shut down, and that the tools of Celery reach them."""

from __future__ import annotations

import signal

import pytest
from tests.support.transport.consumers import job_of
from tests.support.transport.harness import TransportHarness
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes


@pytest.mark.parametrize(("pool", "concurrency"), [("threads", 2), ("solo", 1), ("prefork", 2)])
def test_a_warm_shutdown_finishes_running_tasks_and_releases_the_rest(
    harness: TransportHarness, pool: str, concurrency: int
) -> None:
    harness.send(*range(60), task="linger")
    worker = harness.start(pool=pool, concurrency=concurrency)
    wait_until(lambda: harness.redis.llen("begun") == concurrency, what="beginning")
    wait_until(lambda: harness.claimed() == 10 * concurrency, what="claiming")

    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in harness.log(), what="hearing it")
    harness.redis.set("go", 1)
    assert processes.stop(worker, grace=DEADLINE_SECONDS) == 0

    done = harness.done()
    waiting = [job_of(item) for item in reversed(harness.redis.lrange("first", 0, -1))]
    assert harness.claimed() == 0
    assert len(done) >= concurrency
    assert waiting == [number for number in range(60) if number not in done]


@pytest.mark.parametrize(
    ("pool", "soft_seconds", "finished"),
    [("prefork", 0, False), ("threads", DEADLINE_SECONDS, True)],
    ids=["cold", "soft"],
)
def test_a_cold_or_soft_shutdown_releases_unfinished_tasks(
    harness: TransportHarness, pool: str, soft_seconds: float, finished: bool
) -> None:
    harness.send(*range(60), task="linger")
    worker = harness.start(
        "worker", "--without-mingle", "--", f"worker.soft_shutdown_timeout={soft_seconds}", pool=pool, concurrency=2
    )
    wait_until(lambda: harness.redis.llen("begun") == 2, what="beginning")
    wait_until(lambda: harness.claimed() == 20, what="claiming")

    worker.send_signal(signal.SIGQUIT)
    if finished:
        wait_until(lambda: "Initiating Soft Shutdown" in harness.log(), what="hearing it")
        harness.redis.set("go", 1)
        wait_until(lambda: len(harness.done()) >= 2, what="the end of those that were running")
        harness.redis.set("wake", 1)
    assert worker.wait(DEADLINE_SECONDS) == 0, harness.log()

    done = harness.done()
    waiting = [job_of(item) for item in reversed(harness.redis.lrange("first", 0, -1))]
    assert harness.claimed() == 0
    assert len(done) >= 2 if finished else not done
    assert waiting == [number for number in range(60) if number not in done]


def test_tools_of_celery_reach_a_worker(harness: TransportHarness) -> None:
    """Inspect, revoke, cancel and add queues, mingle; and it takes what the stock producer sends."""
    harness.start("first", "--loglevel", "INFO")  # with mingling
    wait_until(lambda: harness.answer("first"), what="an answer")
    control = harness.app.control.inspect([name := "first@transport"], timeout=DEADLINE_SECONDS)

    assert [queue["name"] for queue in control.active_queues()[name]] == ["first"]
    assert control.stats()[name]["broker"]["transport"] == "redis"

    harness.app.control.revoke("unwanted", destination=[name], reply=True, timeout=DEADLINE_SECONDS)
    harness.app.send_task("note", ["revoked"], task_id="unwanted")
    harness.app.send_task("note", ["wanted"])
    wait_until(lambda: harness.done() == {"wanted"} and harness.is_drained(), what="the wanted one alone")

    harness.app.control.cancel_consumer("first", destination=[name], reply=True, timeout=DEADLINE_SECONDS)
    harness.app.control.add_consumer("second", destination=[name], reply=True, timeout=DEADLINE_SECONDS)
    harness.send("left")
    harness.send("other queue", queue="second")
    wait_until(
        lambda: harness.done() == {"wanted", "other queue"} and not harness.claimed(), what="the queue that was added"
    )
    assert harness.waiting("first") == 1

    harness.app.control.add_consumer("first", destination=[name], reply=True, timeout=DEADLINE_SECONDS)
    wait_until(lambda: harness.done() == {"wanted", "other queue", "left"}, what="the queue that is back")


def test_stock_and_our_workers_share_a_queue(harness: TransportHarness) -> None:
    harness.start("ours")
    harness.start("stock", stock=True)
    wait_until(lambda: harness.answer("ours", "stock"), what="both")

    harness.send(*range(300))

    wait_until(harness.is_drained, what="an empty queue")
    assert sorted(harness.order()) == list(range(300))
    assert all("received" in harness.log(name) for name in ("ours", "stock"))
