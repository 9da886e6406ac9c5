"""The help of each command: its examples parse, and it names the exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from tests.support.documentation import assert_rollbook_command
from typer.testing import CliRunner

from rollbook_ops.cli.app import app

_ROOT = typer.main.get_command(app)
_WITHOUT_JSON = {"deliver", "maintenance", "migrate", "relay", "serve", "worker", "outbox create"}
"""These print no data; `migrate` and `outbox create` may print SQL."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command, with the words that name it."""
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


COMMANDS = dict(leaves(_ROOT))


def help_of(*arguments: str) -> str:
    shown = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [*arguments, "--help"])
    assert shown.exit_code == 0
    assert shown.stderr == ""
    return shown.stdout


def examples_in(text: str) -> list[str]:
    block = re.search(r"Examples *\n(.*?)\n *\n", text, re.DOTALL)
    assert block is not None
    return [line.strip() for line in block[1].splitlines()]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_shows_examples_and_exit_codes(name: str) -> None:
    text = help_of(*name.split())

    assert examples_in(text)
    codes = re.findall(r"^ +(\d+) +\w", text.partition("Exit codes")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "130"]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_examples_of_the_help_parse(name: str) -> None:
    lines = examples_in(help_of(*name.split()))

    typed = [line[line.index("rollbook ") :] for line in lines if "rollbook " in line]
    assert typed
    for line in typed:
        words = shlex.split(re.split(r" [|>]", line)[0])[1:]
        command: Any = _ROOT
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        if command is COMMANDS["worker"]:
            assert_rollbook_command(["worker", *words])
            continue
        command.make_parser(typer.Context(command)).parse_args(words)  # raises on an unknown option


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _WITHOUT_JSON))
def test_commands_that_print_data_have_a_json_option(name: str) -> None:
    assert "--json" in help_of(*name.split())


def test_no_line_of_help_is_wider_than_a_narrow_terminal() -> None:
    shown = CliRunner(env={"COLUMNS": "60"}).invoke(app, ["import", "--help"])

    assert max(map(len, shown.stdout.splitlines())) <= 60


def test_a_group_without_a_command_shows_its_help() -> None:
    shown = CliRunner().invoke(app, ["users"])

    assert shown.exit_code == 2
    assert "Usage: " in shown.output


def test_help_imports_nothing_that_only_commands_need() -> None:
    program = (
        "import json, sys, rollbook_ops.cli.app;"
        "slow = ('celery', 'kombu', 'pydantic', 'pydantic_core', 'sqlalchemy', 'psycopg', 'redis');"
        "print(json.dumps([name for name in slow if name in sys.modules]))"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(shown.stdout) == []


def test_a_read_imports_nothing_that_only_others_need() -> None:
    program = (
        "import sys; from rollbook_ops.cli import main; sys.argv = ['rollbook', 'users', 'get', 'ann']\n"
        "try: main()\n"
        "except SystemExit:\n"
        " slow = ('psycopg', 'redis', 'sqlalchemy', 'celery', 'rollbook_ops.importers')\n"
        " print([name for name in slow if name in sys.modules])"
    )
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": "postgresql://app@127.0.0.1:1/app"}

    shown = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert shown.stdout == "['psycopg']\n"
