"""Passwords are in URLs; no repr contains them, nor what a process prints when it cannot connect."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.python_processes import run_python

from rollbook import Rollbook, RollbookError
from rollbook.database import Database
from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.devstack import Servers
from rollbook_ops.devstack.endpoint import Endpoint
from rollbook_ops.devstack.stack import LocalStack
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_ops.relay.relay import Relay
from rollbook_shared.settings import Settings
from rollbook_worker.app import make_app
from rollbook_worker.store import PostgresStore

SECRET = "s3cr3t-4711"
BROKER = f"redis://:{SECRET}@127.0.0.1:1/0"
DATABASE = f"postgresql://ann:{SECRET}@127.0.0.1:1/app"
SETTINGS = Settings(broker_url=BROKER, database_url=DATABASE, outbox_url=DATABASE, erasure_key=SECRET)


@pytest.mark.parametrize(
    "thing",
    [
        SETTINGS,
        Rollbook(broker_url=BROKER, database_url=DATABASE),
        Rollbook(broker_url=BROKER, database_url=DATABASE).users,
        DirectPublisher(BROKER),
        Database(DATABASE),
        OutboxTable(DATABASE),
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
def test_no_repr_shows_a_password(thing: object) -> None:
    assert SECRET not in f"{thing!r} {thing}"


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "rollbook_worker.migrations"],
        ["-c", "from rollbook_ops.cli import main; main()", "users", "get", "ann"],
        ["-c", "from rollbook_ops.cli import main; main()", "users", "delete", "ann"],
        ["-c", "from rollbook_ops.cli import main; main()", "jobs", "dead"],
        ["-c", "from rollbook_ops.cli import main; main()", "doctor"],
        ["-m", "celery", "-A", "rollbook_worker.app", "report"],
    ],
    ids=lambda command: command[-1],
)
def test_no_command_prints_a_password_when_it_cannot_connect(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {
        "ROLLBOOK_BROKER_URL": BROKER,
        "ROLLBOOK_DATABASE_URL": DATABASE,
        "ROLLBOOK_OUTBOX_URL": DATABASE,
        "ROLLBOOK_ERASURE_KEY": SECRET,
    }

    said = run_python(*command, env=environment, cwd=tmp_path)

    assert said.stdout + said.stderr
    assert SECRET not in said.stdout + said.stderr


def test_no_connection_error_contains_a_password() -> None:
    relay = Relay.from_settings(SETTINGS)
    with Rollbook(broker_url=BROKER, database_url=DATABASE) as rb:
        for call in (
            lambda: rb.users.delete("ann"),
            lambda: rb.users.get("ann"),
            lambda: PostgresStore(DATABASE).cleanup.prune_dead_letters(now=0),
            relay.send,
            relay.reconcile,
        ):
            with pytest.raises(RollbookError) as failure:
                call()
            assert SECRET not in f"{failure.value} {failure.value!r} {failure.value.__cause__}"


@pytest.mark.parametrize("url", [f"http://ann:{SECRET}@x", f"{SECRET}", f"mysql://ann:{SECRET}@h/x"])
def test_no_error_about_a_url_quotes_its_password(url: str) -> None:
    for make in (DirectPublisher, Database, OutboxTable):
        with pytest.raises(RollbookError) as failure:
            make(url)
        assert SECRET not in str(failure.value)
