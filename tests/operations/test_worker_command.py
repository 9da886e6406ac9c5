"""`rollbook worker` starts what Celery's own command line starts, with the defaults of Rollbook and less in memory."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import Rollbook
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.workers import responding_workers

PROGRAMS: Final = Path(sys.executable).parent
WORKER: Final = (PROGRAMS / "rollbook", "worker")
COMMANDS: Final[Mapping[str, tuple[str | Path, ...]]] = {
    "rollbook": WORKER,
    "celery": (PROGRAMS / "celery", "-A", "rollbook_worker.app", "worker", "-P", "threads", "-l", "INFO"),
}
HOST: Final = socket.gethostname()
UNWANTED: Final = {
    *("celery.bin.celery", "click_repl", "flower", "prompt_toolkit", "tornado"),  # Celery's command line, its plug-ins
    *("rich", "typer"),  # Rollbook's
    *("alembic", "sqlalchemy"),  # migrations
}

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def environment(database_url: str, broker_url: str) -> dict[str, str]:
    return os.environ | {"ROLLBOOK_DATABASE_URL": database_url, "ROLLBOOK_BROKER_URL": broker_url}


@pytest.fixture
def start(environment: dict[str, str], broker_url: str, log: Path) -> Iterator[Start]:
    """Start a worker anew, not forked, and wait until it answers to its name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str | Path, name: str, **settings: str) -> subprocess.Popen[bytes]:
        worker = processes.spawn(command, log=log, env=environment | settings)
        started.append(worker)
        wait_until(lambda: answers(broker_url, name), what=f"{name} answering")
        return worker

    yield start
    for worker in started:
        processes.stop(worker, by=signal.SIGKILL)


def answers(broker_url: str, name: str) -> bool:
    return responding_workers(broker_url, {name}) == {name}


def stats(broker_url: str, name: str) -> dict[str, Any]:
    """What `celery inspect stats` shows."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        found = app.control.inspect([name], timeout=DEADLINE_SECONDS, limit=1).stats()
    shown: dict[str, Any] = found[name]
    return shown


def queues(broker_url: str, name: str) -> set[str]:
    with Celery(broker=broker_url, set_as_current=False) as app:
        found = app.control.inspect([name], timeout=DEADLINE_SECONDS, limit=1).active_queues()
    return {queue["name"] for queue in found[name]}


def test_a_worker_does_its_jobs_with_nothing_in_memory_that_it_never_uses(
    start: Start, rb: Rollbook, broker_url: str, log: Path
) -> None:
    worker = start(sys.executable, "-X", "importtime", *WORKER, name=f"rollbook@{HOST}")

    single, bulk = rb.users.identify("ann", {"plan": "pro"}), rb.users.bulk_identify([{"id": "bob"}])
    assert {single.wait(DEADLINE_SECONDS).state, bulk.wait(DEADLINE_SECONDS).state} == {"applied"}
    assert stats(broker_url, f"rollbook@{HOST}")["pool"]["max-concurrency"] == 2
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0

    lines = log.read_text()
    loaded = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", lines, re.MULTILINE))
    assert "Warm shutdown" in lines
    assert "celery.worker.consumer.consumer" in loaded
    assert loaded & UNWANTED == set()


def test_options_and_variables_of_celery_stand_over_the_defaults(start: Start, broker_url: str) -> None:
    start(*WORKER, "-Qbulk", "--prefetch-multiplier=7", name=f"bulk@{HOST}", CELERY_WORKER_CONCURRENCY="3")

    shown = stats(broker_url, f"bulk@{HOST}")
    assert queues(broker_url, f"bulk@{HOST}") == {"bulk"}
    assert (shown["pool"]["max-concurrency"], shown["prefetch_count"]) == (3, 21)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_sighup_starts_a_worker_again_in_the_same_process(
    start: Start, rb: Rollbook, command: tuple[str | Path, ...], log: Path
) -> None:
    worker = start(*command, "-n", "again@here", name="again@here")

    worker.send_signal(signal.SIGHUP)
    wait_until(lambda: log.read_text().count("again@here ready") == 2, what="the worker being ready again")

    assert rb.users.identify("cy").wait(DEADLINE_SECONDS).state == "applied"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("by", "status"), [(signal.SIGINT, 1), (signal.SIGQUIT, 0)])
def test_a_signal_ends_a_worker_with_a_status(
    start: Start, command: tuple[str | Path, ...], by: signal.Signals, status: int
) -> None:
    worker = start(*command, "-n", "ending@here", name="ending@here")

    worker.send_signal(by)

    assert worker.wait(DEADLINE_SECONDS) == status


def test_a_daemon_is_started_by_the_same_command(
    environment: dict[str, str], rb: Rollbook, broker_url: str, tmp_path: Path
) -> None:
    pid_file, log = tmp_path / "worker.pid", tmp_path / "daemon.log"
    options = ["-n", "daemon@here", "--detach", f"--pidfile={pid_file}", f"--logfile={log}"]

    done = subprocess.run([*WORKER, *options], env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # it is there before it has its only line
    wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), what="the daemon's file")
    pid = int(pid_file.read_text())
    try:
        assert rb.users.identify("di").wait(DEADLINE_SECONDS).state == "applied"
        assert "\0-m\0rollbook_worker\0" in Path(f"/proc/{pid}/cmdline").read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), what="the daemon ending")
    assert "daemon@here ready" in log.read_text()


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["--no-such-option"], 2, "No such option '--no-such-option'."),
        (["--app", "no_such_module.app"], 2, "there is no module no_such_module"),
        (["--pool", "gevent"], 1, "rollbook: a worker cannot run with the pool gevent; start it with --pool threads"),
    ],
    ids=["option", "app", "pool"],
)
def test_a_mistake_ends_with_one_line(options: list[str], status: int, line: str) -> None:
    urls = {"ROLLBOOK_DATABASE_URL": "postgresql://app@127.0.0.1:1/app", "ROLLBOOK_BROKER_URL": "redis://127.0.0.1:1/0"}

    done = subprocess.run([*WORKER, *options], env=os.environ | urls, capture_output=True, text=True, check=False)

    assert (done.returncode, line in done.stderr.splitlines()[-1]) == (status, True), done.stderr


def test_a_worker_starts_without_the_extra_of_the_command_line() -> None:
    program = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['rollbook', 'worker', '--no-such-option']\n"
        "from rollbook_ops.cli import main; main()"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "No such option" in done.stderr
