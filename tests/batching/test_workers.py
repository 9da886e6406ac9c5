"""Real workers that apply batches: faults, pools, shutdowns, and an outage of Postgres."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.batching.stack import BatchingStack
from tests.support.databases import migrate
from tests.support.event_listener import EventListener
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import Servers, processes

PROMPTLY_SECONDS = 8.0
"""For a worker to stop, on a machine that runs other tests too. Kubernetes gives 30."""


@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_pending_jobs_share_transactions_and_flower_shows_each(
    stack: BatchingStack, events: EventListener, pool: str
) -> None:
    stack.send(pool, 300)

    worker = stack.start("worker", pool=pool, ready=False)

    wait_until(lambda: len(stack.finished(pool)) == 300, what="applying all")
    wait_until(stack.is_drained, what="acknowledging all")
    assert stack.transactions(pool) < 30
    wait_until(
        lambda: Counter(task.state for task in events.tasks(pool).values())["SUCCESS"] == 300, what="300 successes"
    )
    seen = events.tasks(pool)
    assert {(task.name, task.result) for task in seen.values()} == {("rollbook.identify", "'applied'")}
    assert {tuple(events.types[id_]) for id_ in seen} == {("task-received", "task-started", "task-succeeded")}
    assert all(task.received <= task.started <= task.succeeded for task in seen.values())
    assert processes.stop(worker, grace=PROMPTLY_SECONDS, by=signal.SIGTERM) == 0


def test_jobs_that_raise_or_kill_their_process_affect_no_other(stack: BatchingStack, events: EventListener) -> None:
    stack.send("before", 50)
    stack.rb.users.identify("raises", {}, job_id="fault-raises")
    stack.rb.users.identify("kills", {}, job_id="fault-kills")
    stack.send("after", 50)

    worker = stack.start("worker", pool="prefork", app="tests.support.batching.faulty_app", ready=False)

    wait_until(lambda: len(stack.finished("before") | stack.finished("after")) == 100, what="applying the others")
    wait_until(lambda: events.tasks("fault")["fault-raises"].state == "FAILURE", what="the failure of one")

    def others() -> list[str]:
        return [task.state for name in ("before", "after") for task in events.tasks(name).values()]

    wait_until(lambda: others() == ["SUCCESS"] * 100, what="the success of the others")
    assert stack.finished("fault") == set()
    assert worker.poll() is None


@pytest.mark.parametrize(
    ("pool", "transport"), [("threads", "rollbook"), ("threads", "stock"), ("prefork", "rollbook")]
)
def test_a_busy_worker_stops_promptly_and_loses_no_job(stack: BatchingStack, pool: str, transport: str) -> None:
    name = f"stop-{pool}-{transport}"
    sent = {job.id for job in stack.send(name, 1_500)}
    worker = stack.start("worker", pool=pool, ready=False, ROLLBOOK_TRANSPORT=transport, ROLLBOOK_BATCH_SIZE="20")
    wait_until(lambda: len(stack.finished(name)) >= 100, what="the first jobs")

    status = processes.stop(worker, grace=PROMPTLY_SECONDS, by=signal.SIGTERM)

    assert status == 0
    finished, waiting = stack.finished(name), stack.waiting()
    assert finished | waiting == sent
    # a pool of processes is not asked for its last results: what it was applying comes again, as duplicates
    assert len(finished & waiting) <= (2 * 20 if pool == "prefork" else 0)
    assert stack.unacknowledged() == 0


@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_a_busy_worker_that_is_asked_to_stop_at_once_stops_without_an_error(stack: BatchingStack, pool: str) -> None:
    name = f"at-once-{pool}"
    sent = {job.id for job in stack.send(name, 1_500)}
    worker = stack.start("worker", pool=pool, ready=False, ROLLBOOK_BATCH_SIZE="20")
    wait_until(lambda: len(stack.finished(name)) >= 100, what="the first jobs")

    worker.send_signal(signal.SIGQUIT)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(DEADLINE_SECONDS)

    log = stack.log("worker")
    assert worker.returncode is not None, log[-8000:]
    assert "Cold shutdown" in log
    assert "Unrecoverable" not in log
    assert "Traceback" not in log
    assert stack.finished(name) | stack.waiting() == sent
    assert stack.unacknowledged() == 0
    assert stack.dead_letters(name) == 0


def test_a_worker_holds_jobs_without_new_messages_while_postgres_is_down(
    own_stack: BatchingStack, own_servers: Servers, events_of_own: EventListener
) -> None:
    worker = own_stack.start("worker")
    own_stack.send("first", 10)
    wait_until(lambda: len(own_stack.finished("first")) == 10, what="the first jobs")

    own_servers.postgres.kill()
    own_stack.send("held", 300)
    wait_until(lambda: own_stack.log("worker").count("retrying") >= 2, what="two attempts")

    messages = own_stack.messages()
    assert len(messages) == 300
    assert not any(message["headers"].get("retries") for message in messages)
    wait_until(
        lambda: "RETRY" in {task.state for task in events_of_own.tasks("held").values()}, what="Flower seeing it"
    )
    own_servers.postgres.start()
    wait_until(lambda: len(own_stack.finished("held")) == 300, what="applying those held")
    wait_until(own_stack.is_drained, what="acknowledging them")
    assert worker.poll() is None

    attempts = own_stack.log("worker").count("retrying")
    own_servers.postgres.kill()
    own_stack.send("released", 300)
    wait_until(lambda: own_stack.log("worker").count("retrying") > attempts, what="another attempt")
    begin = time.monotonic()
    assert processes.stop(worker, grace=30, by=signal.SIGTERM) == 0
    assert time.monotonic() - begin < PROMPTLY_SECONDS
    assert len(own_stack.waiting()) == 300
    own_servers.postgres.start()
    own_stack.start("second")
    wait_until(lambda: len(own_stack.finished("released")) == 300, what="applying those released")


@pytest.fixture
def own_stack(own_servers: Servers, tmp_path: Path) -> Iterator[BatchingStack]:
    """On a Postgres that the test may stop."""
    migrate(own_servers.database_url)
    stack = BatchingStack(own_servers.broker_url, own_servers.database_url, tmp_path)
    yield stack
    stack.close()


@pytest.fixture
def events_of_own(own_servers: Servers) -> Iterator[EventListener]:
    with EventListener(own_servers.broker_url) as events:
        yield events
