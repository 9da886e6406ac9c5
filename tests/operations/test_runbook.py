"""The runbook is true: its commands exist, and its statements run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.deploy.compose_file import SERVICES, named_services
from tests.support.documentation import assert_rollbook_command
from tests.support.repository import ROOT, unknown_options

from rollbook.outbox import create_table
from rollbook_ops.devstack.binaries import find_postgres
from rollbook_shared.outcomes import DeadLetterCode

RUNBOOK = (ROOT / "deploy" / "runbook.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
STATEMENTS = [shlex.split(command)[-1] for command in COMMANDS if command.startswith("psql")]
REDIS = [shlex.split(command)[3:] for command in COMMANDS if command.startswith("redis-cli")]
LINKS = re.findall(r"\*see \*|\(see \*([^*]+)\*\)|[Ss]ee \*([^*]+)\*|in \*([^*]+)\*", RUNBOOK)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_exists(command: str) -> None:
    program, *arguments = shlex.split(command)

    match program:
        case "rollbook":
            assert_rollbook_command(arguments)
        case "python":
            assert find_spec(f"{arguments[1]}.__main__")
        case "celery":
            assert_celery_command(arguments)
        case "docker":
            assert arguments[0] == "compose"
            assert set(named_services(arguments)) <= set(SERVICES)
        case "psql" | "pg_dump" | "pg_restore":
            assert (find_postgres() / program).exists()
        case "redis-cli":
            assert arguments[:2] == ["-u", "$ROLLBOOK_BROKER_URL"]
        case "kill":
            assert arguments[1:] == ["WORKER_PID"]
        case _:
            raise AssertionError(f"nothing is known of {program}")


def assert_celery_command(arguments: list[str]) -> None:
    assert arguments[:2] == ["-A", "rollbook_worker.app"]
    options = [argument for argument in arguments[3:] if argument.startswith("-")]
    assert unknown_options(arguments[2], options) == []


def test_its_statements_run(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        create_table(lambda statement: connection.execute(statement.encode()))
        for statement in STATEMENTS:
            connection.execute(statement.encode())
            if "RENAME" in statement:
                connection.execute("CREATE SCHEMA rollbook")
                connection.execute("CREATE TABLE rollbook.lifecycle_events (LIKE rollbook_broken.lifecycle_events)")

        assert connection.execute("SELECT to_regnamespace('rollbook_broken')").fetchone() == (None,)
    assert len(STATEMENTS) >= 8


def test_what_it_says_to_redis_is_understood(own_servers: Any) -> None:
    with connect_to_broker(own_servers.broker_url) as client:
        client.hset("unacked", "tag", "held")

        for words in REDIS:
            client.execute_command(*words)

        # the lease that it gives has ended long ago
        assert client.zscore("unacked_index", "tag") == 0
    assert len(REDIS) >= 3


def test_where_it_refers_to_a_section_there_is_one() -> None:
    sections = set(re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE))
    named = {re.sub(r"\s+", " ", name) for found in LINKS for name in found if name and name[0].isupper()}

    assert named
    assert named - sections == set()


def test_every_code_of_a_dead_letter_is_in_its_table() -> None:
    assert [code for code in DeadLetterCode if f"`{code}`" not in RUNBOOK] == []


def test_the_doctor_names_it_where_it_is() -> None:
    source = Path(find_spec("rollbook_ops.doctor").origin or "").parent / "redis.py"  # type: ignore[union-attr]

    assert "deploy/runbook.md" in source.read_text()
    assert os.path.exists(ROOT / "deploy" / "runbook.md")
