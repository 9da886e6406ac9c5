"""Workers and the relay report in Redis, and what no longer reports is forgotten."""

from __future__ import annotations

import psycopg
from tests.support.brokers import connect_to_broker
from tests.support.waits import wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook.outbox import create_table
from rollbook_ops.relay.relay import Relay
from rollbook_shared.broker_keys import WORKER_REPORTS
from rollbook_shared.observability.inspection import (
    OutboxReport,
    Worker,
    find_outbox_report,
    find_workers,
    report_outbox,
    report_worker,
)
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.measurement import redis_figures


def test_workers_are_those_that_have_reported_lately(broker_url: str) -> None:
    with connect_to_broker(broker_url) as client:
        client.delete(WORKER_REPORTS)
        report_worker(client, "b@host", ["default", "bulk"])
        report_worker(client, "a@host", ["default"])
        client.zadd(WORKER_REPORTS, {"default gone@host": client.time()[0] - 31})

        assert find_workers(client) == [
            Worker(name="a@host", queues=("default",)),
            Worker(name="b@host", queues=("bulk", "default")),
        ]
        report_worker(client, "a@host", ["default"])
        assert client.zcard(WORKER_REPORTS) == 2
        figures = redis_figures(broker_url)
        assert (figures["workers"], figures["workers.default"], figures["workers.bulk"]) == (2, 2, 1)


def test_the_outbox_is_known_while_a_relay_reports(broker_url: str) -> None:
    report = OutboxReport(unsent=1, unfinished=2, oldest=3.5)
    with connect_to_broker(broker_url) as client:
        assert find_outbox_report(client) is None
        assert "outbox_unsent" not in redis_figures(broker_url)
        report_outbox(client, report)

        assert find_outbox_report(client) == report
        assert 0 < client.ttl("rollbook:outbox") <= 30
        client.set("rollbook:outbox", b'{"unsent": "x"}')
        assert find_outbox_report(client) is None


def test_a_relay_reports_what_waits(broker_url: str, database_url: str, backend_url: str) -> None:
    with psycopg.connect(backend_url) as connection:
        create_table(connection.execute)
        Rollbook().outbox(connection).users.identify("ann", {})
    relay = Relay.from_settings(Settings(broker_url=broker_url, database_url=database_url, outbox_url=backend_url))

    relay.report()

    figures = redis_figures(broker_url)
    assert (figures["outbox_unsent"], figures["outbox_unfinished"]) == (1, 0)
    relay.send()
    relay.report()
    assert redis_figures(broker_url)["outbox_unsent"] == 1, "it reports every few seconds, and not always"
    relay.close()


def test_figures_of_a_redis_that_is_away_are_left_out() -> None:
    assert redis_figures("redis://127.0.0.1:1/0") == {}


def test_a_worker_reports_and_maintenance_measures_it(workers: Workers, rb: Rollbook) -> None:
    workers.spawn(threads=2)
    workers.start_maintenance()
    job = rb.users.identify("ann", {"plan": "pro"})

    wait_until(
        lambda: any(each.figures.get("workers.default") == 1 for each in rb.measurements.list()),
        what="a measurement with the worker",
    )
    assert job.wait(60).state == "applied"
