"""`rollcall outbox` and `rollcall relay`, as operators type them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from tests.acceptance.conftest import until

from rollcall import Rollcall
from rollcall.local import processes

ROLLCALL = [sys.executable, "-c", "from rollcall.cli import main; main()"]


def rollcall(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    return subprocess.run(
        [*ROLLCALL, *arguments], env=environment | settings, capture_output=True, text=True, check=False
    )


def test_the_table_is_made_once_and_its_state_shown(new_database: Callable[[], str]) -> None:
    url = new_database()

    assert rollcall("outbox", "show", ROLLCALL_OUTBOX_URL=url).returncode == 2
    assert rollcall("outbox", "create", ROLLCALL_OUTBOX_URL=url).returncode == 0
    with psycopg.connect(url) as connection:
        Rollcall().outbox(connection).users.identify("u1")
    assert rollcall("outbox", "create", ROLLCALL_OUTBOX_URL=url).returncode == 0

    shown = rollcall("outbox", "show", "--json", ROLLCALL_OUTBOX_URL=url)
    assert json.loads(shown.stdout)["unsent"] == 1


def test_the_printed_sql_makes_the_table(new_database: Callable[[], str]) -> None:
    printed = rollcall("outbox", "create", "--print")

    assert printed.returncode == 0
    with psycopg.connect(new_database()) as connection:
        connection.execute(printed.stdout)
        Rollcall().outbox(connection).users.identify("u1")


def test_the_command_relays_until_it_is_told_to_stop(
    backend_url: str, database_url: str, broker_url: str, backend: psycopg.Connection, tmp_path: Path
) -> None:
    Rollcall().outbox(backend).users.identify("u1")
    backend.commit()
    given = {
        "ROLLCALL_OUTBOX_URL": backend_url,
        "ROLLCALL_DATABASE_URL": database_url,
        "ROLLCALL_BROKER_URL": broker_url,
    }
    relay = processes.spawn([*ROLLCALL, "relay"], log=tmp_path / "log", env=os.environ | given)

    def is_sent() -> bool:
        (sent,) = backend.execute("SELECT sent_at IS NOT NULL FROM rollcall_outbox").fetchone() or (False,)
        backend.commit()
        return bool(sent)

    try:
        until(is_sent, what="the job being sent")
    finally:
        status = processes.stop(relay, by=signal.SIGTERM)
    assert status == 0
