r"""What the commands print: results to stdout, everything else to stderr.

What others have told is shown with its control characters written out, as `\x1b`: a terminal would obey them. Programs
ask for JSON, which holds every value as it is.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbook_shared.errors import InvalidRequest, NotConfigured, RollbookError
from rollbook_shared.jobs.json_values import CONTROLS, printable

_PIPED_WIDTH: Final = 10_000
"""Of a table that no terminal shows: a program that reads it line by line wants rows whole."""

_IN_JSON: Final = {code: f"\\u{code:04x}" for code in CONTROLS}
"""JSON demands it only below U+0020."""

out = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH)
err = Console(stderr=True)


class _Said:
    """What was said until now."""

    wants_json = False
    has_json = False
    complaint = ""


def fail(error: RollbookError) -> int:
    """Print the error as one line, and say what the command should exit with."""
    complain(str(error))
    return 2 if isinstance(error, (InvalidRequest, NotConfigured)) else 1


def want_json(wanted: bool) -> bool:
    """Note, when a command begins, whether it is to print JSON."""
    _Said.wants_json, _Said.has_json, _Said.complaint = wanted, False, ""
    return wanted


def finish_json() -> None:
    """Print what went wrong as JSON, where that is wanted and nothing else was printed."""
    if _Said.wants_json and _Said.complaint and not _Said.has_json:
        print_json({"error": _Said.complaint})


def complain(line: str) -> None:
    """Say in one line what went wrong."""
    _Said.complaint = line
    err.print(f"[bold red]rollbook:[/] {shown(line)}", soft_wrap=True, highlight=False)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what is waited for, on a terminal and until the block ends."""
    if err.is_terminal:
        with err.status(f"[dim]{shown(what)}[/]"):
            yield
    else:
        yield


def say(line: str) -> None:
    """Tell what is going on."""
    err.print(f"[dim]{shown(line)}[/]", soft_wrap=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value as one line of JSON; dataclasses and times included."""
    _Said.has_json = True
    print(json.dumps(value, default=_plain, ensure_ascii=False).translate(_IN_JSON), flush=True)


def print_table(table: Table, nothing: str) -> None:
    """Print a table; without rows, that there is nothing."""
    if table.row_count:
        out.print(table)
    else:
        out.print(nothing, highlight=False)


def say_more(after: str | None) -> None:
    """Say how to go on with the next page, if there is one."""
    if after is not None:
        err.print(f"[dim]more: --after {escape(_as_word(after))}[/]", soft_wrap=True, highlight=False)


def pairs(title: str, rows: Mapping[str, object]) -> Table:
    """A table of names and values."""
    table = Table(title=shown(title), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(shown(name), cell(value))
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
    return shown(value if isinstance(value, str) else json.dumps(value, default=_plain, ensure_ascii=False))


def shown(text: str) -> str:
    """A text as it is shown: neither markup nor control characters in it do anything."""
    return escape(printable(text))


def _as_word(text: str) -> str:
    """The text as one word of a shell's line, so that it can be pasted."""
    if text.translate(_IN_JSON) == text:
        return shlex.quote(text)
    quoted = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{quoted.translate(_IN_JSON)}'"


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
