"""The README is true: its Python runs, its commands exist, its tables are the code's, its links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from tests.support.documentation import assert_rollbook_command, headings, table
from tests.support.repository import ROOT, known_variables, unknown_options
from tests.support.worker_processes import Workers

from rollbook_shared.settings import Settings

README = (ROOT / "README.md").read_text()
WORDS = (
    *("user", "properties", "job", "stamp", "identify", "trigger", "message", "activity", "history", "merge"),
    *("preference set", "channel data", "deferred job", "dead letter"),
)
MOST_LINES = 400
MOST_BYTES = 15_000
"""Of a picture that is drawn by hand."""
_ANOTHER_CHOICE = {"ROLLBOOK_TRANSPORT": "stock", "ROLLBOOK_LOG_FORMAT": "json"}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_PLACE = re.compile(r"\]\(([^):]*)#([^)]+)\)")
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


def blocks(language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(README) if found == language]


def commands() -> list[str]:
    """Each line of the shell blocks, without its comment."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [command for line in lines if (command := re.sub(r"\s+#.*", "", line).strip())]


def test_its_python_runs(
    workers: Workers,
    database_url: str,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers.start()
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE accounts (id text PRIMARY KEY)")
    names: dict[str, Any] = {"your_database_url": database_url.replace("postgresql:", "postgresql+psycopg:", 1)}
    make_outbox(database_url)

    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)

    names["rb"].close()
    assert capsys.readouterr().out.splitlines() == promised_output()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT kind FROM rollbook_outbox").fetchall() == [("identify",)]


def make_outbox(database_url: str) -> None:
    from rollbook.outbox import create_table

    with psycopg.connect(database_url) as connection:
        create_table(lambda statement: connection.execute(statement.encode()))


def promised_output() -> list[str]:
    """What the comments behind each `print` say, up to a colon behind a single word, where they explain."""
    comments = re.findall(r"print\(.*\)  # (.*)$", README, re.MULTILINE)
    return [re.sub(r"^(\w+): .*", r"\1", comment) for comment in comments]


@pytest.mark.parametrize("command", commands())
def test_each_command_exists(command: str) -> None:
    program, *arguments = shlex.split(command)

    match program:
        case "./run":
            assert is_run_command(arguments), command
        case "rollbook":
            assert_rollbook_command(arguments)
        case "export":
            (variable,) = arguments
            assert variable.partition("=")[0] in known_variables() | {"ROLLBOOK_EXAMPLES"}
        case "python":
            assert arguments[0] == "-m"
            assert importlib.util.find_spec(arguments[1])
        case _:
            raise AssertionError(f"nothing is known of {program}")


def is_run_command(arguments: list[str]) -> bool:
    name, *rest = arguments
    if name in ("test", "python"):
        return not rest
    if name == "pytest":
        return all((ROOT / path).exists() for path in rest)
    assert_rollbook_command(arguments)
    return True


def test_the_process_table_names_what_exists() -> None:
    lines = [
        line for row in table(README, "process") for line in re.findall(r"`((?:celery|python|rollbook) [^`]*)`", row[1])
    ]

    for line in lines:
        program, *arguments = shlex.split(line)
        match program:
            case "celery":
                options = [argument for argument in arguments if argument.startswith("--")]
                assert unknown_options("flower" if "flower" in arguments else "worker", options) == []
            case "python":
                assert importlib.util.find_spec(arguments[1])
            case _:
                assert_rollbook_command(arguments)
    assert len(lines) >= 5


def test_the_settings_are_those_that_the_code_reads() -> None:
    variables = [row[0].strip("`") for row in table(README, "variable")]

    assert len(variables) == len(set(variables))
    assert set(variables) == {name for name in known_variables() if name.startswith("ROLLBOOK_")}


def test_the_defaults_are_those_of_the_code() -> None:
    given = {row[0].strip("`"): row[1] for row in table(README, "variable") if row[1]}

    assert Settings.from_env(given) == Settings()
    for name, default in given.items():
        other = f"{float(default) + 1:g}" if default.isdigit() else _ANOTHER_CHOICE.get(name, "another")
        assert Settings.from_env(given | {name: other}) != Settings(), name


def test_the_words_are_those_of_the_rules() -> None:
    assert tuple(row[0] for row in table(README, "word")) == WORDS


def test_each_extra_it_names_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"'\.\[(\w+)\]'", README)

    assert extras
    assert set(extras) <= set(project["optional-dependencies"])


def test_each_relative_link_leads_somewhere() -> None:
    links = [link for link in _LINK.findall(README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_each_place_within_a_page_is_a_heading_there() -> None:
    places = [(page or "README.md", place) for page, place in _PLACE.findall(README)]

    assert places
    assert [(page, place) for page, place in places if place not in headings(ROOT / page)] == []


def test_who_cannot_see_its_pictures_is_told_what_they_show() -> None:
    pictures = {picture: shown for shown, picture in _PICTURE.findall(README)}

    assert {Path(picture).name for picture in pictures} >= {"path.svg", "flower.png", "rates.svg"}
    assert [picture for picture, shown in pictures.items() if len(shown.split()) < 10] == []


def test_the_path_is_drawn_with_nothing_from_elsewhere() -> None:
    picture = ROOT / "deploy" / "pictures" / "path.svg"
    drawn = ElementTree.parse(picture)

    assert picture.stat().st_size < MOST_BYTES
    assert {node.tag.partition("}")[2] for node in drawn.iter()} & {"image", "use", "script", "foreignObject"} == set()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|@font-face|url\((?!#)", picture.read_text())
    rooms = re.findall(r"\w+/rollbook\w*", "".join(drawn.getroot().itertext()))
    assert len(rooms) == 3
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) < MOST_LINES
