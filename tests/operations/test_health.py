"""Liveness and readiness are asked of the process itself, so that an outage of Redis restarts no worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from tests.support.operations.probe import Probe
from tests.support.python_processes import run_python
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers, processes
from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.health_file import HealthState, write_health
from rollbook_shared.observability.heartbeat import Heartbeat
from rollbook_worker.health.__main__ import find_problem
from rollbook_worker.maintenance.monitor import MaintenanceMonitor

WAITING = "the process is waiting, and takes no jobs"
FRESH = 5.0
"""Seconds. A sign of life comes each second, on a busy machine perhaps later."""


def test_the_heartbeat_of_a_worker_stops_when_it_is_frozen_or_ends(
    rb: Rollbook,
    workers: Workers,
    database_url: str,
    health_file: Path,
    probe: Probe,
    frozen: Callable[[subprocess.Popen[bytes]], None],
) -> None:
    assert probe.run() == (1, "the process has not started, or has ended: there is no health file")
    worker = workers.start(threads=1, ROLLBOOK_HEALTH_FILE=str(health_file))
    wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")

    with psycopg.connect(database_url) as blocking:
        # the worker's only thread hangs on a lock: the loop does not
        blocking.execute("LOCK TABLE rollbook.users IN ACCESS EXCLUSIVE MODE")
        job = rb.users.identify("u1", {})
        wait_until(lambda: waits_for_a_lock(database_url), what="the worker waiting for the lock")
        before = health_file.stat().st_mtime
        wait_until(lambda: health_file.stat().st_mtime > before + 1, what="two signs of life at work")
        assert probe.run("--ready", "--max-age", "30") == (0, "healthy")
        blocking.rollback()

    assert job.wait(DEADLINE_SECONDS).state == "applied"
    frozen(worker)
    wait_until(lambda: probe.trouble(max_age=FRESH), what="looking dead")
    worker.send_signal(signal.SIGCONT)
    wait_until(lambda: probe.trouble(max_age=FRESH) is None, what="being well again")
    assert processes.stop(worker, grace=DEADLINE_SECONDS, by=signal.SIGTERM) == 0
    assert not health_file.exists()
    assert probe.run()[0] == 1


def waits_for_a_lock(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        (waiting,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone() or (0,)
    return bool(waiting)


def test_a_worker_without_redis_is_alive_and_not_ready(
    own_servers: Servers, database_url: str, tmp_path: Path, health_file: Path, probe: Probe
) -> None:
    workers = Workers(database_url, own_servers.broker_url, tmp_path)
    try:
        workers.start(ROLLBOOK_HEALTH_FILE=str(health_file))
        wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")

        own_servers.valkey.kill()

        wait_until(lambda: probe.trouble(ready=True, max_age=FRESH) == WAITING, what="waiting")
        assert probe.trouble(max_age=FRESH) is None
        own_servers.valkey.start()
        wait_until(lambda: probe.trouble(ready=True) is None, what="being ready again")
    finally:
        workers.stop()


def test_the_heartbeat_of_maintenance_stops_when_it_is_frozen_or_ends(
    workers: Workers, health_file: Path, probe: Probe, frozen: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    maintenance = workers.start_maintenance(ROLLBOOK_HEALTH_FILE=str(health_file))
    wait_until(lambda: probe.trouble(ready=True) is None, what="being ready")

    frozen(maintenance)
    wait_until(lambda: probe.trouble(max_age=FRESH), what="looking dead")
    maintenance.send_signal(signal.SIGCONT)
    wait_until(lambda: probe.trouble(ready=True, max_age=FRESH) is None, what="being well again")

    assert processes.stop(maintenance, by=signal.SIGTERM) == 0
    assert not health_file.exists()


def test_maintenance_without_postgres_is_alive_and_not_ready(tmp_path: Path, health_file: Path, probe: Probe) -> None:
    workers = Workers("postgresql://unknown@127.0.0.1:1/none", "redis://unused", tmp_path)
    try:
        workers.start_maintenance(ROLLBOOK_HEALTH_FILE=str(health_file))

        wait_until(lambda: probe.trouble(ready=True) == WAITING, what="waiting")
        assert probe.trouble() is None
    finally:
        workers.stop()


class TestUpkeepsState:
    def test_a_hanging_periodic_task_differs_from_a_long_one(self) -> None:
        now = 0.0
        watching = MaintenanceMonitor(clock=lambda: now)
        watching.started("short", 10.0)
        watching.started("long", None)
        assert watching.state() is HealthState.READY

        now = 11.0
        assert watching.state() is None

        watching.succeeded("short")
        assert watching.state() is HealthState.READY

    def test_maintenance_is_not_ready_until_a_failed_task_succeeds(self) -> None:
        watching = MaintenanceMonitor()
        watching.started("short", 10.0)

        watching.failed("short", Unavailable("away"))
        assert watching.state() is HealthState.WAITING

        watching.succeeded("short")
        assert watching.state() is HealthState.READY


def test_a_hanging_process_stops_its_heartbeat(health_file: Path) -> None:
    states: list[HealthState | None] = [HealthState.READY, None]
    asked_twice = threading.Event()

    def state() -> HealthState | None:
        if len(states) == 1:
            asked_twice.set()
        return states.pop(0) if len(states) > 1 else states[0]

    beating = Heartbeat(str(health_file), state)
    beating.start()
    assert asked_twice.wait(DEADLINE_SECONDS)
    now = time.time()

    os.utime(health_file, (now - 60, now - 60))

    assert (
        find_problem(health_file, max_age=10, ready=False)
        == "the process hangs or was killed: it reported ready 60 s ago"
    )
    beating.stop()
    assert not health_file.exists()


def test_the_probe_names_the_setting_that_is_missing(tmp_path: Path) -> None:
    Heartbeat(None, lambda: HealthState.READY).start()

    done = run_python(
        *("-m", "rollbook_worker.health"),
        env={name: value for name, value in os.environ.items() if name != "ROLLBOOK_HEALTH_FILE"},
    )

    assert done.returncode == 2
    assert "ROLLBOOK_HEALTH_FILE" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_probe_imports_nothing_large() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rollbook_worker.health"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert not {"celery", "kombu", "psycopg", "pydantic", "logging"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }


def test_the_health_file_is_replaced_atomically(health_file: Path) -> None:
    write_health(health_file, HealthState.READY)
    write_health(health_file, HealthState.WAITING)

    assert find_problem(health_file, max_age=10, ready=True) == "the process is waiting, and takes no jobs"
    assert [path.name for path in health_file.parent.iterdir()] == [health_file.name]


def test_the_health_file_follows_no_link_and_is_private(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "health"
    victim.write_text("precious")
    path.with_name(f"health.{os.getpid()}").symlink_to(victim)
    path.symlink_to(victim)

    write_health(path, HealthState.READY)

    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert path.read_text() == "ready\n"
    assert path.stat().st_mode & 0o777 == 0o600


SIGNAL_TO_ANOTHER_THREAD = """
import os, signal, sys, threading, time
from rollbook_shared.observability.stop_event import StopEvent
from rollbook_worker.maintenance.periodic import PeriodicTask, run

stopped = StopEvent()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

def work():
    main = threading.main_thread().ident
    while sys._current_frames()[main].f_back.f_code.co_name not in ("join", "run"):
        time.sleep(0.01)
    time.sleep(0.1)  # until it waits in there; a signal that comes before tests less
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    return False

run([PeriodicTask("task", 3_600, work)], stopped)
print("stopped")
"""


def test_maintenance_stops_if_another_thread_gets_the_signal() -> None:
    """The system may give it to any thread; only the main one handles it, and must wake for that."""
    assert run_python("-c", SIGNAL_TO_ANOTHER_THREAD).stdout == "stopped\n"
