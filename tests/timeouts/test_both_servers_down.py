"""Postgres is down and Redis is full: jobs in the workers cannot be released, and none becomes a dead letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.databases import migrate
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers

TRIES = 2
"""More than a message has here that counts them."""


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_an_outage_of_both_servers_makes_no_dead_letter(own_servers: Servers, tmp_path: Path, pool: str) -> None:
    migrate(own_servers.database_url)
    workers = Workers(own_servers.database_url, own_servers.broker_url, tmp_path)
    with (
        Rollbook(database_url=own_servers.database_url, broker_url=own_servers.broker_url) as rb,
        connect_to_broker(own_servers.broker_url) as broker,
    ):
        try:
            workers.start(pool=pool, threads=2, ROLLBOOK_BATCH_SIZE="1", ROLLBOOK_MAX_DELIVERIES="1")
            own_servers.postgres.stop()
            jobs = [rb.users.identify(f"{pool}-{number}", {}) for number in range(3)]
            broker.lpush("default", no_message := f"no message of {pool}")
            broker.config_set("maxmemory-policy", "noeviction")
            broker.config_set("maxmemory", 1)
            for tried in (*(job.id for job in jobs), "rollbook.dead_letter["):
                wait_until(lambda tried=tried: _times_received(workers, tried) > TRIES, what="trying")  # type: ignore[misc]

            broker.config_set("maxmemory", 0)
            own_servers.postgres.start()

            assert [job.wait(DEADLINE_SECONDS).state for job in jobs] == ["applied"] * len(jobs)
            wait_until(lambda: broker.llen("default") + broker.hlen("unacked") == 0, what="an empty queue")
        finally:
            workers.stop()
            broker.config_set("maxmemory", 0)
            own_servers.postgres.start()
        dead_letters = {
            rb.jobs.get_dead_letter(dead_letter.id).body: dead_letter.code
            for dead_letter in rb.jobs.list_dead_letters().items
        }
        assert dead_letters.pop(no_message) == "malformed"
        assert set(dead_letters.values()) <= {"malformed"}


def _times_received(workers: Workers, name: str) -> int:
    return sum(name in line and line.endswith("received") for line in workers.log().splitlines())
