"""The help of the commands: what each does, what one would type, what it exits with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import typer
from rich.markup import escape

Command = Callable[..., Any]
F = TypeVar("F", bound=Command)

_EXITS: Final = {0: "done", 1: "not done", 2: "wrong usage or settings", 130: "interrupted"}
"""Of every command. Each says for itself what 1 means."""
_KEEP_LINES: Final = "\b\n"
_CODE: Final = re.compile(r"`([^`]+)`")
_LESSONS: Final[dict[Command, str]] = {}


def taught(*examples: str, exits: Mapping[int, str]) -> Callable[[F], F]:
    """Note what one would type to run a command, and its exit codes where they are not those of all."""

    def note(command: F) -> F:
        _LESSONS[command] = lesson(*examples, exits=exits)
        return command

    return note


def add(app: typer.Typer, name: str, command: Command, *, panel: str | None = None) -> None:
    """Make a taught function a command of `app`; its docstring is the help."""
    says = prose(command.__doc__ or "")
    app.command(name, help=says, epilog=_LESSONS[command], rich_help_panel=panel)(command)


def prose(text: str) -> str:
    """Plain text as help: as wide as the terminal, code in colour."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n")]
    return _CODE.sub(r"[cyan]\1[/]", escape("\n\n".join(paragraphs)))


def lesson(*examples: str, exits: Mapping[int, str]) -> str:
    """What stands below the help. An example too long for a line goes on in the next, after a backslash."""
    lines = [f"  {escape(line)}" for line in examples]
    codes = [f"  {code:<4} {escape(what)}" for code, what in sorted((_EXITS | dict(exits)).items())]
    parts = (("Examples", lines), ("Exit codes", codes))
    return "\n\n".join(_KEEP_LINES + "\n".join((f"[bold]{title}[/]", *part)) for title, part in parts)
