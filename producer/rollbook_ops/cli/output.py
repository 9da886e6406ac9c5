r"""What the commands print: results to stdout, everything else to stderr.

Text that comes from users or files is printed with its control characters escaped, as `\x1b`: a terminal would execute
them. The JSON output holds every value unchanged.
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
from typing import Any, Final, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbook_shared.errors import InvalidRequest, NotConfigured, RollbookError
from rollbook_shared.json_values import CONTROLS, printable

_PIPED_WIDTH: Final = 10_000
"""Width of a table that goes to a pipe: a program that reads lines wants each row on one line."""

_MAX_CELL: Final = 1_000
"""Characters of a cell; a program that reads lines must not get megabytes in one."""

_JSON_ESCAPES: Final = {code: f"\\u{code:04x}" for code in CONTROLS}
"""JSON requires this only below U+0020."""

# Without emoji: a name or an id may hold the text :smile:.
out = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH, emoji=False)
err = Console(stderr=True, emoji=False)


class OutputState:
    """What the running command has printed so far."""

    wants_json = False
    has_json = False
    error = ""


def request_json(wanted: bool) -> bool:
    """Record at the start of a command whether it is to print JSON."""
    OutputState.wants_json, OutputState.has_json, OutputState.error = wanted, False, ""
    return wanted


def finish_json() -> None:
    """Print the error as JSON if the command is to print JSON and has printed none."""
    if OutputState.wants_json and OutputState.error and not OutputState.has_json:
        print_json({"error": OutputState.error})


def print_exception(error: RollbookError) -> int:
    """Print an error as one line, its details below, and return the command's exit code."""
    summary, _, rest = str(error).partition("\n")
    print_error(getattr(error, "summary", summary), getattr(error, "details", rest))
    return 2 if isinstance(error, (InvalidRequest, NotConfigured)) else 1


def print_error(line: str, details: str = "") -> None:
    """Print one line that says what went wrong, and below it the lines of `details`, such as the end of a log."""
    OutputState.error = f"{line}\n{details}" if details else line
    err.print(f"[bold red]rollbook:[/] {escape_text(line)}", soft_wrap=True, highlight=False)
    for detail in details.splitlines():
        print_note(detail)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Show on a terminal what the command waits for, until the block ends."""
    if err.is_terminal:
        with err.status(f"[dim]{escape_text(text)}[/]"):
            yield
    else:
        yield


def print_note(line: str) -> None:
    """Print to stderr what the command is doing."""
    err.print(f"[dim]{escape_text(line)}[/]", soft_wrap=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value as one line of JSON, dataclasses and times included."""
    OutputState.has_json = True
    text = json.dumps(value, default=_to_json, ensure_ascii=not _is_unicode(sys.stdout))
    print(text.translate(_JSON_ESCAPES), flush=True)


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def print_table(table: Table, if_empty: str) -> None:
    """Print a table, or `if_empty` where it has no rows."""
    if table.row_count:
        out.print(table)
    else:
        out.print(if_empty, highlight=False)


def print_next_page(after: str | None) -> None:
    """Print the option that shows the next page, if there is one."""
    if after is not None:
        err.print(f"[dim]more: --after {escape(_shell_word(after))}[/]", soft_wrap=True, highlight=False)


def fields_table(title: str, fields: Mapping[str, object]) -> Table:
    """Return a table with a row for each field: its name and its value."""
    table = Table(title=escape_text(title), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(escape_text(name), format_cell(value))
    return table


def format_cell(value: object) -> str:
    """Format a value for a cell of a table."""
    if value is None:
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    text = value if isinstance(value, str) else json.dumps(value, default=_to_json, ensure_ascii=False)
    if len(text) > _MAX_CELL:
        text = f"{text[:_MAX_CELL]}... ({len(text):,} characters; --json shows all)"
    return escape_text(text)


def escape_text(text: str) -> str:
    """Escape markup and control characters, so that neither has an effect."""
    return escape(printable(text))


def _shell_word(text: str) -> str:
    """Quote the text as one word of a shell's command line, so that it can be pasted."""
    if text.translate(_JSON_ESCAPES) == text:
        return shlex.quote(text)
    quoted = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{quoted.translate(_JSON_ESCAPES)}'"


def _to_json(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
