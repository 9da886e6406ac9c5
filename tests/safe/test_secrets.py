"""Passwords stand in URLs; they are seen in no repr, and in nothing that a process says when it cannot connect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollcall import Rollcall, RollcallError
from rollcall.local import Servers
from rollcall.local.endpoint import Endpoint
from rollcall.local.stack import LocalStack
from rollcall.outbox.relay import Relay
from rollcall.outbox.rows import Rows
from rollcall.reading.database import Database
from rollcall.sending.direct import DirectSender
from rollcall_shared.settings import Settings
from rollcall_worker.app import make_app
from rollcall_worker.store import PostgresStore

SECRET = "s3cr3t-4711"
BROKER = f"redis://:{SECRET}@127.0.0.1:1/0"
DATABASE = f"postgresql://ann:{SECRET}@127.0.0.1:1/app"
SETTINGS = Settings(broker_url=BROKER, database_url=DATABASE, outbox_url=DATABASE, erasure_key=SECRET)


@pytest.mark.parametrize(
    "thing",
    [
        SETTINGS,
        Rollcall(broker_url=BROKER, database_url=DATABASE),
        Rollcall(broker_url=BROKER, database_url=DATABASE).users,
        DirectSender(BROKER),
        Database(DATABASE),
        Rows(DATABASE),
        Relay.from_settings(SETTINGS),
        PostgresStore.from_settings(SETTINGS),
        Servers(broker_url=BROKER, database_url=DATABASE),
        LocalStack(broker_url=BROKER, database_url=DATABASE),
        Endpoint(port=1, password=SECRET),
        make_app(SETTINGS),
        make_app(SETTINGS).connection_for_read(),
        make_app(SETTINGS).connection_for_write(),
        make_app(SETTINGS).conf.humanize(with_defaults=False),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_no_repr_shows_it(thing: object) -> None:
    assert SECRET not in f"{thing!r} {thing}"


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "rollcall_worker.migrate"],
        ["-c", "from rollcall.cli import main; main()", "users", "get", "ann"],
        ["-c", "from rollcall.cli import main; main()", "users", "delete", "ann"],
        ["-c", "from rollcall.cli import main; main()", "jobs", "dead"],
        ["-c", "from rollcall.cli import main; main()", "doctor"],
        ["-m", "celery", "-A", "rollcall_worker.app", "report"],
    ],
    ids=lambda command: command[-1],
)
def test_no_command_says_it_when_it_cannot_connect(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {
        "ROLLCALL_BROKER_URL": BROKER,
        "ROLLCALL_DATABASE_URL": DATABASE,
        "ROLLCALL_OUTBOX_URL": DATABASE,
        "ROLLCALL_ERASURE_KEY": SECRET,
    }

    said = subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.stdout + said.stderr
    assert SECRET not in said.stdout + said.stderr


def test_no_error_of_connecting_says_it() -> None:
    relay = Relay.from_settings(SETTINGS)
    with Rollcall(broker_url=BROKER, database_url=DATABASE) as rc:
        for call in (
            lambda: rc.users.delete("ann"),
            lambda: rc.users.get("ann"),
            lambda: PostgresStore(DATABASE).forget_letters(now=0),
            relay.send,
            relay.settle,
        ):
            with pytest.raises(RollcallError) as failure:
                call()
            assert SECRET not in f"{failure.value} {failure.value!r} {failure.value.__cause__}"


@pytest.mark.parametrize("url", [f"http://ann:{SECRET}@x", f"{SECRET}", f"mysql://ann:{SECRET}@h/x"])
def test_no_complaint_about_a_url_quotes_it(url: str) -> None:
    for make in (DirectSender, Database, Rows):
        with pytest.raises(RollcallError) as failure:
            make(url)
        assert SECRET not in str(failure.value)
