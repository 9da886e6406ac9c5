"""`rollbook outbox` and `rollbook relay`, run as commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
from tests.support.python_processes import run_python, spawn_python
from tests.support.waits import wait_until

from rollbook import Rollbook
from rollbook_ops.devstack import processes

ROLLBOOK = ["-c", "from rollbook_ops.cli import main; main()"]


def rollbook(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    return run_python(*ROLLBOOK, *arguments, env=environment | settings)


def test_create_is_idempotent_and_show_counts(new_database: Callable[[], str]) -> None:
    url = new_database()

    assert rollbook("outbox", "show", ROLLBOOK_OUTBOX_URL=url).returncode == 2
    assert rollbook("outbox", "create", ROLLBOOK_OUTBOX_URL=url).returncode == 0
    with psycopg.connect(url) as connection:
        Rollbook().outbox(connection).users.identify("u1")
    assert rollbook("outbox", "create", ROLLBOOK_OUTBOX_URL=url).returncode == 0

    shown = rollbook("outbox", "show", "--json", ROLLBOOK_OUTBOX_URL=url)
    assert json.loads(shown.stdout)["unsent"] == 1


def test_the_printed_sql_creates_the_table(new_database: Callable[[], str]) -> None:
    printed = rollbook("outbox", "create", "--print")

    assert printed.returncode == 0
    with psycopg.connect(new_database()) as connection:
        connection.execute(printed.stdout)
        Rollbook().outbox(connection).users.identify("u1")


def test_relay_runs_until_a_signal(
    backend_url: str, database_url: str, broker_url: str, backend: psycopg.Connection, tmp_path: Path
) -> None:
    Rollbook().outbox(backend).users.identify("u1")
    backend.commit()
    given = {
        "ROLLBOOK_OUTBOX_URL": backend_url,
        "ROLLBOOK_DATABASE_URL": database_url,
        "ROLLBOOK_BROKER_URL": broker_url,
    }
    relay = spawn_python([*ROLLBOOK, "relay"], log=tmp_path / "log", env=os.environ | given)

    def is_sent() -> bool:
        (sent,) = backend.execute("SELECT sent_at IS NOT NULL FROM rollbook_outbox").fetchone() or (False,)
        backend.commit()
        return bool(sent)

    try:
        wait_until(is_sent, what="the job being sent")
    finally:
        status = processes.stop(relay, by=signal.SIGTERM)
    assert status == 0
