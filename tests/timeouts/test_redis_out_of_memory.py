"""A Redis at its memory limit: a job is rejected whole, the outbox keeps jobs, and workers free memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import NotSent, Rollbook
from rollbook.outbox import create_table
from rollbook_ops.devstack import Servers
from rollbook_ops.relay.relay import Relay
from rollbook_shared.errors import Unavailable
from rollbook_shared.settings import Settings

FILL = {"filling": "x" * 20_000}


@pytest.fixture
def broker(own_servers: Servers) -> Iterator[redis.Redis]:
    """A client of a Redis that takes another megabyte, and no more."""
    with connect_to_broker(own_servers.broker_url) as broker:
        broker.flushall()
        used = int(broker.info("memory")["used_memory"])
        broker.config_set("maxmemory-policy", "noeviction")
        broker.config_set("maxmemory", used + 1_000_000)
        yield broker
        broker.config_set("maxmemory", 0)


def test_a_full_redis_rejects_whole_jobs(own_servers: Servers, broker: redis.Redis) -> None:
    with Rollbook(broker_url=own_servers.broker_url) as rb:
        sent = _fill(rb)
        everybody = [{"id": f"u{number}", **FILL} for number in range(100)]

        with pytest.raises(NotSent, match="memory limit") as failure:
            rb.users.bulk_identify(everybody, job_id="bulk-1")

        assert failure.value.job_id == "bulk-1"
        assert "xxx" not in str(failure.value)
        assert (broker.llen("default"), broker.llen("bulk")) == (sent, 0)


def test_the_outbox_keeps_jobs_while_redis_is_full(
    own_servers: Servers, broker: redis.Redis, database_url: str
) -> None:
    settings = Settings(broker_url=own_servers.broker_url, database_url=database_url)
    relay = Relay.from_settings(settings)
    with (
        Rollbook(broker_url=own_servers.broker_url, database_url=database_url) as rb,
        psycopg.connect(database_url) as application,
    ):
        create_table(application.execute)
        filled = _fill(rb)
        for number in range(200):
            rb.outbox(application).users.identify(f"u{number}", FILL)
        application.commit()

        with pytest.raises(Unavailable, match="memory limit"):
            relay.send()

        unsent = "SELECT count(*) FROM rollbook_outbox WHERE sent_at IS NULL"
        assert application.execute(unsent).fetchone() == (200,)
        application.commit()
        broker.config_set("maxmemory", 0)
        while relay.send():
            pass
        assert application.execute(unsent).fetchone() == (0,)
        assert broker.llen("default") >= filled + 200
    relay.close()


def test_workers_empty_a_full_redis(
    own_servers: Servers, broker: redis.Redis, database_url: str, tmp_path: Path
) -> None:
    workers = Workers(database_url, own_servers.broker_url, tmp_path)
    with Rollbook(broker_url=own_servers.broker_url, database_url=database_url) as rb:
        _fill(rb)
        try:
            # not `start`: to ask a worker whether it is there needs memory in Redis too
            worker = workers.spawn("worker", threads=2)
            wait_until(lambda: broker.llen("default") + broker.hlen("unacked") == 0, what="an empty queue")

            assert rb.users.identify("after", FILL).wait(DEADLINE_SECONDS).state == "applied"
            assert worker.poll() is None
        finally:
            workers.stop()


def _fill(rb: Rollbook) -> int:
    """Send until no more is taken; return how many were."""
    for number in range(1_000):
        try:
            rb.users.identify(f"full-{os.getpid()}-{number}", FILL)
        except NotSent:
            return number
    raise AssertionError("Redis took everything")
