"""The pages of the documentation: their blocks, commands, tables and headings, and checks of what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from tests.support.repository import ROOT
from typer.testing import CliRunner

from rollbook_ops.cli.app import app

DOCS: Final = ROOT / "docs"
PAGES: Final = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md")))
"""The README and every page of docs/, as paths from the root of the repository."""
_BLOCK: Final = re.compile(
    r"^(?P<mark><!-- not run: .* -->\n)?(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code in a page."""

    page: str
    language: str
    text: str
    is_run: bool
    """False where the page says why it cannot be run here."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[Block]:
    """The blocks of one language in a page, from the top."""
    return [
        Block(page, found["language"], found["text"], is_run=not found["mark"])
        for found in _BLOCK.finditer(text_of(page))
        if found["language"] == language
    ]


def commands(page: str) -> list[str]:
    """Each command of the page's shell blocks, without its comment."""
    lines = [line for block in blocks(page, "sh") for line in block.text.splitlines()]
    return [command for line in lines if (command := re.sub(r"\s+#.*", "", line).strip())]


def arguments_of(page: str, program: str) -> list[list[str]]:
    """The arguments of each command of the page that starts this program."""
    words = [shlex.split(command) for command in commands(page)]
    return [arguments for found, *arguments in words if found == program]


def arguments_of_redis(arguments: list[str]) -> list[str]:
    """The command for Redis, without the options of redis-cli that say where it is."""
    while arguments[0] in ("-h", "-p", "-n"):
        arguments = arguments[2:]
    return arguments


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level, up to the next one."""
    for part in re.split(r"^## ", text_of(page), flags=re.MULTILINE):
        if part.partition("\n")[0] == heading:
            return part
    raise AssertionError(f"{page} has no section {heading}")


def links(page: str) -> Iterator[tuple[str, str]]:
    """The relative links of a page outside of code, each as a path and an anchor."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL)
    for path, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text)):
        if "://" not in path:
            yield path, anchor


def assert_rollbook_command(arguments: list[str]) -> None:
    """The command and its options are known; asked for help, it does nothing."""
    if arguments[:1] == ["worker"]:  # its options are Celery's
        from rollbook_worker.command_line import worker_command

        worker_command.make_parser(click.Context(worker_command)).parse_args(arguments[1:])
    asked = CliRunner().invoke(app, [*arguments, "--help"])

    assert asked.exit_code == 0, asked.output


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def table(page: str, first_heading: str) -> list[list[str]]:
    """The rows of the table of a text whose first column has this heading."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            next(lines)
            return [cells(row) for row in iter(lambda: next(lines, ""), "") if row.startswith("|")]
    raise AssertionError(f"no table has the heading {first_heading}")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]
