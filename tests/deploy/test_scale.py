"""The page on growing is true: its commands exist, its statements run, and figures have the command that gives them."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec

import psycopg
import pytest
from tests.support.deploy.compose_file import SERVICES, named_services
from tests.support.documentation import assert_rollbook_command, headings
from tests.support.repository import ROOT

from rollbook_ops.devstack.binaries import find_postgres
from rollbook_shared.database.tables import metadata

PAGE = (ROOT / "deploy" / "scale.md").read_text()
MOST_LINES = 180
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines() if line.strip()]
STATEMENTS = [shlex.split(command)[-1] for command in COMMANDS if command.startswith("psql")]
SETTINGS = [line.partition("#")[0] for language, block in BLOCKS if language == "ini" for line in block.splitlines()]
RUNS = sorted(set(re.findall(r"`\./run ([^`]+)`", PAGE)))
_LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_exists(command: str) -> None:
    program, *arguments = shlex.split(command)

    match program:
        case "rollbook":
            assert_rollbook_command(arguments)
        case "docker":
            assert arguments[0] == "compose"
            assert set(named_services(arguments)) <= set(SERVICES)
        case "psql":
            assert (find_postgres() / program).exists()
        case _:
            raise AssertionError(f"nothing is known of {program}")


@pytest.mark.parametrize("command", RUNS)
def test_each_measurement_can_be_made(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = shlex.split(command)
    if program == "pytest":
        assert [path for path in arguments if not (ROOT / path).exists()] == []
        return
    if program != "python":
        assert_rollbook_command([program])
        return
    _, module, *options = arguments
    assert find_spec(module)
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)  # as if nobody had imported it yet

    with pytest.raises(SystemExit):
        runpy.run_module(module, run_name="__main__")

    known = re.findall(r"--[a-z-]+", capsys.readouterr().out)
    assert [option for option in options if option.startswith("--") and option not in known] == []


def test_its_statements_run(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        for statement in STATEMENTS:
            connection.execute(statement.encode())

    assert len(STATEMENTS) >= 4


def test_postgres_knows_the_settings_it_names(database_url: str) -> None:
    named = {line.partition("=")[0].strip() for line in SETTINGS if line.strip()}

    with psycopg.connect(database_url) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM pg_settings")}

    assert named
    assert named - known == set()


def test_the_tables_it_names_are_there() -> None:
    tables = {table.name for table in metadata.tables.values()}

    assert set(re.findall(r"rollbook\.(\w+)", "\n".join(STATEMENTS))) <= tables


def test_each_table_of_figures_has_the_command_that_gives_it() -> None:
    """In the paragraph above it, or in its own head."""
    parts = PAGE.split("\n\n")
    tables = [number for number, part in enumerate(parts) if re.search(r"^\|.*\| \d", part, re.MULTILINE)]

    assert len(tables) >= 5
    assert [parts[at] for at in tables if "`./run " not in parts[at - 1] + parts[at]] == []


def test_no_figure_is_still_to_come() -> None:
    assert re.findall(r"(?<![\w?])\?.*", PAGE) == []


def test_its_links_lead_somewhere() -> None:
    links = [(path, place) for path, place in _LINK.findall(PAGE) if "://" not in path]

    assert links
    for path, place in links:
        target = ROOT / "deploy" / (path or "scale.md")
        assert target.exists(), path
        assert not place or place in headings(target), (path, place)


def test_it_is_short_enough_to_be_read() -> None:
    assert len(PAGE.splitlines()) < MOST_LINES
