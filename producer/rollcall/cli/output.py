"""What the commands print: results to stdout, everything else to stderr."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollcall_shared.errors import InvalidJob, NotConfigured, RollcallError

out = Console(soft_wrap=False)
err = Console(stderr=True)


def fail(error: RollcallError) -> int:
    """Print the error as one line, and say what the command should exit with."""
    complain(str(error))
    return 2 if isinstance(error, (InvalidJob, NotConfigured)) else 1


def complain(line: str) -> None:
    """Say in one line what went wrong."""
    err.print(f"[bold red]rollcall:[/] {escape(line)}", soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """Tell what is going on."""
    err.print(f"[dim]{escape(line)}[/]", soft_wrap=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value as one line of JSON; dataclasses and times included."""
    print(json.dumps(value, default=_plain, ensure_ascii=False), flush=True)


def pairs(title: str, rows: Mapping[str, object]) -> Table:
    """A table of names and values."""
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(escape(name), cell(value))
    return table


def counted(number: int, what: str) -> str:
    """`1 activity`, `2,000 activities`."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what[:-1]}ies" if what.endswith("y") else f"{number:,} {what}s"


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return escape(value if isinstance(value, str) else json.dumps(value, default=_plain, ensure_ascii=False))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
