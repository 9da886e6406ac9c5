"""Real workers that apply jobs in batches: faults, pools, shutdowns, and a Postgres that goes away."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.batching.site import EventListener, Site
from tests.support.databases import migrate
from tests.support.waits import wait_until

from rollbook_ops.devstack import Servers, processes

PROMPTLY_SECONDS = 8.0
"""For a worker to stop, on a machine that runs other tests too. Kubernetes gives 30."""


@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_pending_jobs_share_transactions_and_flower_shows_each(site: Site, watching: EventListener, pool: str) -> None:
    site.send(pool, 300)

    worker = site.start("worker", pool=pool, ready=False)

    wait_until(lambda: len(site.decided(pool)) == 300, what="applying all")
    wait_until(site.is_drained, what="acknowledging all")
    assert site.transactions(pool) < 30
    wait_until(
        lambda: Counter(task.state for task in watching.tasks(pool).values())["SUCCESS"] == 300, what="300 successes"
    )
    seen = watching.tasks(pool)
    assert {(task.name, task.result) for task in seen.values()} == {("rollbook.identify", "'applied'")}
    assert {tuple(watching.types[id_]) for id_ in seen} == {("task-received", "task-started", "task-succeeded")}
    assert all(task.received <= task.started <= task.succeeded for task in seen.values())
    assert processes.stop(worker, grace=PROMPTLY_SECONDS, by=signal.SIGTERM) == 0


def test_jobs_that_raise_or_kill_their_process_affect_no_other(site: Site, watching: EventListener) -> None:
    site.send("before", 50)
    site.rb.users.identify("raises", {}, job_id="fault-raises")
    site.rb.users.identify("kills", {}, job_id="fault-kills")
    site.send("after", 50)

    worker = site.start("worker", pool="prefork", app="tests.support.batching.faulty_app", ready=False)

    wait_until(lambda: len(site.decided("before") | site.decided("after")) == 100, what="applying the others")
    wait_until(lambda: watching.tasks("fault")["fault-raises"].state == "FAILURE", what="the failure of one")
    wait_until(lambda: watching.tasks("after")["after-49"].state == "SUCCESS", what="the last success")
    others = [*watching.tasks("before").values(), *watching.tasks("after").values()]
    assert {task.state for task in others} == {"SUCCESS"}
    assert site.decided("fault") == set()
    assert worker.poll() is None


@pytest.mark.parametrize(
    ("pool", "transport"), [("threads", "rollbook"), ("threads", "stock"), ("prefork", "rollbook")]
)
def test_a_busy_worker_stops_promptly_and_loses_no_job(site: Site, pool: str, transport: str) -> None:
    name = f"stop-{pool}-{transport}"
    sent = {job.id for job in site.send(name, 1_500)}
    worker = site.start("worker", pool=pool, ready=False, ROLLBOOK_TRANSPORT=transport, ROLLBOOK_BATCH_SIZE="20")
    wait_until(lambda: len(site.decided(name)) >= 100, what="the first jobs")

    status = processes.stop(worker, grace=PROMPTLY_SECONDS, by=signal.SIGTERM)

    assert status == 0
    decided, waiting = site.decided(name), site.waiting()
    assert decided | waiting == sent
    # a pool of processes is not asked for its last results: what it was applying comes again, as duplicates
    assert len(decided & waiting) <= (2 * 20 if pool == "prefork" else 0)
    assert site.unacknowledged() == 0


def test_a_worker_holds_jobs_without_new_messages_while_postgres_is_down(
    away: Site, own_servers: Servers, watching_away: EventListener
) -> None:
    worker = away.start("worker")
    away.send("first", 10)
    wait_until(lambda: len(away.decided("first")) == 10, what="the first jobs")

    own_servers.postgres.kill()
    away.send("held", 300)
    wait_until(lambda: away.log("worker").count("retrying") >= 2, what="two attempts")

    messages = away.messages()
    assert len(messages) == 300
    assert not any(message["headers"].get("retries") for message in messages)
    wait_until(
        lambda: "RETRY" in {task.state for task in watching_away.tasks("held").values()}, what="Flower seeing it"
    )
    own_servers.postgres.start()
    wait_until(lambda: len(away.decided("held")) == 300, what="applying those held")
    wait_until(away.is_drained, what="acknowledging them")
    assert worker.poll() is None

    attempts = away.log("worker").count("retrying")
    own_servers.postgres.kill()
    away.send("given-back", 300)
    wait_until(lambda: away.log("worker").count("retrying") > attempts, what="another attempt")
    begin = time.monotonic()
    assert processes.stop(worker, grace=30, by=signal.SIGTERM) == 0
    assert time.monotonic() - begin < PROMPTLY_SECONDS
    assert len(away.waiting()) == 300
    own_servers.postgres.start()
    away.start("second")
    wait_until(lambda: len(away.decided("given-back")) == 300, what="applying those given back")


@pytest.fixture
def away(own_servers: Servers, tmp_path: Path) -> Iterator[Site]:
    """On a Postgres that the test may stop."""
    migrate(own_servers.database_url)
    site = Site(own_servers.broker_url, own_servers.database_url, tmp_path)
    yield site
    site.close()


@pytest.fixture
def watching_away(own_servers: Servers) -> Iterator[EventListener]:
    with EventListener(own_servers.broker_url) as watching:
        yield watching
