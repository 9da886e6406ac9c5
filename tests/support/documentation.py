"""Checks of what a page says: its headings and its commands."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from rollbook_ops.cli.app import app


def assert_rollbook_command(arguments: list[str]) -> None:
    """The command and its options are known; asked for help, it does nothing."""
    asked = CliRunner().invoke(app, [*arguments, "--help"])

    assert asked.exit_code == 0, asked.output


def headings(page: Path) -> set[str]:
    """As GitHub names them in links."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def table(page: str, first_heading: str) -> list[list[str]]:
    """The rows of the table of a page whose first column has this heading."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            next(lines)
            return [cells(row) for row in iter(lambda: next(lines, ""), "") if row.startswith("|")]
    raise AssertionError(f"no table has the heading {first_heading}")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]
