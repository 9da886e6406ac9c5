"""Metrics are off by default, on the loopback interface, without personal data; deploy/ uses only exported ones."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.brokers import connect_to_broker
from tests.support.metrics import answers, fetched, value
from tests.support.operations.findings import MARKED, NO_DATABASE
from tests.support.python_processes import spawn_python
from tests.support.repository import ROOT
from tests.support.senders.deliveries import delivery
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers
from tests.support.yaml_files import load_yaml

from rollbook import AsyncRollbook, Rollbook
from rollbook.outbox import create_table
from rollbook_delivery.process.metrics import DeliveryMetrics
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.results import Failed
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_server.feed_watch import FeedWatch
from rollbook_server.observability.metrics import ServerMetrics
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.job_states import JobState
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.gauges import ServerGauges
from rollbook_worker.maintenance.monitor import MaintenanceMonitor
from rollbook_worker.observability.metrics import MeasuredStore, WorkerMetrics
from rollbook_worker.store import Outcome, ReceivedJob

DEPLOY = ROOT / "deploy" / "metrics"
ALERTS = [rule for group in load_yaml((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((DEPLOY / "dashboard.json").read_text())
EXPRESSIONS = {
    **{f"alert {rule['alert']}": rule["expr"] for rule in ALERTS},
    **{
        f"panel {panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    },
}
Series = dict[str, list[dict[str, str]]]


class Stack:
    """A worker, maintenance and a relay that serve metrics, after they have done some of everything."""

    def __init__(self, database_url: str, broker_url: str, logs: Path) -> None:
        self.workers = Workers(database_url, broker_url, logs)
        self.ports = {name: free_port() for name in ("worker", "maintenance", "relay")}
        self.database_url = database_url
        self.broker_url = broker_url

    def start(self) -> None:
        with psycopg.connect(self.database_url) as connection:
            create_table(lambda statement: connection.execute(statement.encode()))
        self.processes = {
            "worker": self.workers.start(ROLLBOOK_METRICS_PORT=str(self.ports["worker"])),
            "maintenance": self.workers.start_maintenance(ROLLBOOK_METRICS_PORT=str(self.ports["maintenance"])),
            "relay": self.workers.spawn_python(
                "relay", "-m", "rollbook_ops.relay", ROLLBOOK_METRICS_PORT=str(self.ports["relay"])
            ),
        }
        for name, port in self.ports.items():
            wait_until(lambda port=port: answers(port), what=f"{name} serving")  # type: ignore[misc]

    def play(self) -> None:
        with Rollbook(database_url=self.database_url, broker_url=self.broker_url) as rb:
            who = f"{MARKED}@example.com"
            job = rb.users.identify(who, {"name": MARKED}, job_id=f"job-{MARKED}")
            job.wait(DEADLINE_SECONDS)
            rb.users.bulk_identify([{"id": f"{MARKED}-{n}", "name": MARKED} for n in range(5)]).wait(DEADLINE_SECONDS)
            rb.workflows.trigger(MARKED, [who], data={"note": MARKED}).wait(DEADLINE_SECONDS)
            rb.users.identify(who, {}, delay=timedelta(days=3))
            with psycopg.connect(self.database_url) as connection:
                rb.outbox(connection).users.identify(who, {"plan": MARKED})
        self._send_what_is_no_job()

    def _send_what_is_no_job(self) -> None:
        from celery import Celery

        with Celery(broker=self.broker_url, set_as_current=False) as app:
            kind = json.dumps({"v": 1, "kind": MARKED, "id": MARKED, "occurred_at": 5})
            app.send_task("rollbook.identify", args=[kind], queue="default", ignore_result=True)
        maintenance, relay = self.ports["maintenance"], self.ports["relay"]
        wait_until(lambda: value(maintenance, 'rollbook_dead_letters{code="unknown_kind"}') == 1, what="a dead letter")
        wait_until(lambda: value(maintenance, "rollbook_deferred_jobs") == 1, what="a deferred job")
        wait_until(lambda: value(relay, 'rollbook_outbox_jobs_total{event="finished"}') == 1, what="relaying")


@pytest.fixture(scope="module")
def stack(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(database_url, broker_url, tmp_path_factory.mktemp("stack"))
    try:
        stack.start()
        stack.play()
        yield stack
    finally:
        stack.workers.stop()


@pytest.fixture(scope="module")
def exported(stack: Stack) -> Series:
    """Each series' labels, by the name of the sample."""
    series: Series = defaultdict(list)
    for text in (*map(fetched, stack.ports.values()), of_server(), of_delivery()):
        for metric in text_string_to_metric_families(text):
            for sample in metric.samples:
                series[sample.name].append(dict(sample.labels))
            # of what has not happened yet there is a heading only
            for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""]):
                series.setdefault(metric.name + suffix, [])
    return series


def of_server() -> str:
    """What the HTTP server exports; tests/server and tests/deploy ask one that runs."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # as `serve_metrics` does
    registry = CollectorRegistry()
    metrics = ServerMetrics(registry)
    metrics.observe(lambda: 0, FeedWatch(AsyncRollbook()))
    metrics.record_request("GET /v1/users", 200, 0.1)
    return generate_latest(registry).decode()


def of_delivery() -> str:
    """What a process that delivers exports."""
    registry = CollectorRegistry()
    observer = ChannelObserver("mail", DeliveryMetrics(registry))
    observer.claimed(1)
    observer.released(1)
    observer.finished(delivery(), Failed(reason="x"), 0.1)
    return generate_latest(registry).decode()


def test_a_worker_counts_its_jobs_by_kind_and_outcome(stack: Stack) -> None:
    port = stack.ports["worker"]

    assert value(port, 'rollbook_jobs_total{kind="bulk_identify",outcome="applied"}') == 1
    assert value(port, 'rollbook_jobs_total{kind="identify",outcome="deferred"}') == 1
    assert value(port, 'rollbook_jobs_total{kind="unknown",outcome="dead"}') == 1
    assert value(port, 'rollbook_jobs_dead_total{code="unknown_kind"}') == 1
    assert (value(port, "rollbook_batch_jobs_sum") or 0) >= 6
    assert (value(port, "rollbook_apply_seconds_count") or 0) >= 4
    assert (value(port, "rollbook_apply_seconds_sum") or 0) > 0


def test_maintenance_measures_queues_and_lock_waits(new_database: Any, servers: Any, tmp_path: Path) -> None:
    database_url, port = new_database(), free_port()
    broker_url = urlsplit(servers.broker_url)._replace(path="/0").geturl()
    workers = Workers(database_url, broker_url, tmp_path)
    workers.start_maintenance(ROLLBOOK_METRICS_PORT=str(port))
    try:
        with Rollbook(broker_url=broker_url) as rb, connect_to_broker(broker_url) as broker:
            broker.flushdb()
            rb.users.identify("ann")
            rb.users.bulk_identify([{"id": "bo"}])
            rb.users.bulk_identify([{"id": "cy"}])
            wait_until(lambda: answers(port), what="serving")
            wait_until(lambda: value(port, 'rollbook_queue_jobs{queue="default"}') == 1, what="the numbers of queues")
            assert value(port, 'rollbook_queue_jobs{queue="bulk"}') == 2
            # messages say when they were sent in whole seconds
            wait_until(
                lambda: (value(port, 'rollbook_queue_oldest_seconds{queue="default"}') or 0) > 0, what="growing old"
            )
            broker.flushdb()
        assert value(port, "rollbook_lock_waits") == 0
        with psycopg.connect(database_url) as holder, psycopg.connect(database_url) as waiter:
            holder.execute("LOCK TABLE rollbook.users")
            waiting = threading.Thread(target=waiter.execute, args=["SELECT FROM rollbook.users"])
            waiting.start()
            wait_until(lambda: value(port, "rollbook_lock_waits") == 1, what="a transaction waiting")
            assert (value(port, "rollbook_lock_waits_oldest_seconds") or 0) > 0
            holder.rollback()
            waiting.join(DEADLINE_SECONDS)
        wait_until(lambda: value(port, "rollbook_lock_waits") == 0, what="no transaction waiting")
    finally:
        workers.stop()


def test_metrics_contain_no_personal_or_foreign_text(stack: Stack) -> None:
    assert MARKED not in "".join(fetched(port) for port in stack.ports.values())


def test_metrics_are_served_on_the_loopback_interface_only(stack: Stack) -> None:
    listening = {
        connection.laddr.ip: connection.laddr.port
        for process in stack.processes.values()
        for connection in psutil.Process(process.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_uses_exported_metrics(name: str, exported: Series) -> None:
    expression = EXPRESSIONS[name]

    asked = re.findall(r"\b(rollbook_\w+)(?:\{([^}]*)\})?", expression)
    assert asked
    for metric, matchers in asked:
        assert metric in exported
        for label in re.findall(r"(\w+)\s*[=!]", matchers):
            assert all(label in labels for labels in exported[metric])
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        for label in {label.strip() for label in labels.split(",")} - {"instance", "le"}:
            assert any(label in series for metric, _ in asked for series in exported[metric] or [{label: ""}])


def test_every_metric_is_in_the_dashboard_or_an_alert(exported: Series) -> None:
    text = " ".join(EXPRESSIONS.values())
    metrics = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in exported if name.startswith("rollbook_")}

    assert [metric for metric in sorted(metrics) if metric not in text] == []


def test_metrics_are_off_and_not_imported_by_default() -> None:
    code = "import sys, rollbook_worker.app as a; a.check_settings(); print('prometheus_client' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "ROLLBOOK_METRICS_PORT"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"ROLLBOOK_BROKER_URL": "redis://x", "ROLLBOOK_DATABASE_URL": NO_DATABASE},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def test_metrics_without_the_extra_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(NotConfigured, match=r"\[metrics\]"):
        serve_metrics(Settings(metrics_port=1))


def test_a_port_in_use_stops_no_process(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    assert serve_metrics(Settings(metrics_port=stack.ports["worker"])) is True

    assert str(stack.ports["worker"]) in caplog.text


def test_servers_that_are_down_are_reported() -> None:
    registry = CollectorRegistry()
    registry.register(ServerGauges(Settings(database_url=NO_DATABASE)))

    assert registry.get_sample_value("rollbook_server_up", {"server": "postgres"}) == 0
    assert registry.get_sample_value("rollbook_server_up", {"server": "redis"}) == 0
    assert registry.get_sample_value("rollbook_deferred_jobs") is None


class Away:
    """A store that cannot be reached."""

    def apply(self, arrivals: Any, *, now: int | None = None) -> list[Outcome]:
        raise Unavailable("away")


class Here:
    """A store that applies everything."""

    def apply(self, arrivals: Any, *, now: int | None = None) -> list[Outcome]:
        return [Outcome(job_id="j", kind="identify", state=JobState.APPLIED) for _ in arrivals]


def test_retried_jobs_are_counted_and_the_error_is_raised() -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    arrivals = [ReceivedJob.of("x"), ReceivedJob.of("y")]

    with pytest.raises(Unavailable):
        MeasuredStore(Away(), metrics).apply(arrivals, now=1)
    MeasuredStore(Here(), metrics).apply(arrivals, now=1)

    assert registry.get_sample_value("rollbook_job_retries_total") == 2
    assert registry.get_sample_value("rollbook_batch_jobs_sum") == 2
    assert registry.get_sample_value("rollbook_jobs_total", {"kind": "identify", "outcome": "applied"}) == 2


def test_failed_periodic_tasks_are_counted() -> None:
    registry = CollectorRegistry()
    watching = MaintenanceMonitor(metrics=WorkerMetrics(registry))

    watching.started("frail", None)
    watching.failed("frail", Unavailable("away"))
    watching.started("frail", None)
    watching.succeeded("frail")

    assert registry.get_sample_value("rollbook_maintenance_failures_total", {"task": "frail"}) == 1
    assert registry.get_sample_value("rollbook_maintenance_seconds_count", {"task": "frail"}) == 1


def test_failures_of_the_relay_are_counted(stack: Stack, tmp_path: Path) -> None:
    port = free_port()
    relay = spawn_python(
        ["-m", "rollbook_ops.relay"],
        log=tmp_path / "log",
        env=os.environ
        | {
            "ROLLBOOK_OUTBOX_URL": NO_DATABASE,
            "ROLLBOOK_DATABASE_URL": NO_DATABASE,
            "ROLLBOOK_BROKER_URL": stack.broker_url,
            "ROLLBOOK_METRICS_PORT": str(port),
        },
    )
    try:
        wait_until(lambda: answers(port), what="serving")
        wait_until(lambda: (value(port, 'rollbook_outbox_failures_total{step="send"}') or 0) > 0, what="failing")
    finally:
        processes.stop(relay, by=signal.SIGTERM)
