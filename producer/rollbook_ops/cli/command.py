"""What every command is made of: its help with examples and exit codes, options that several share, the client."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from rich.markup import escape

from rollbook_ops.cli.output import request_json

if TYPE_CHECKING:
    from rollbook import Rollbook

AsJson = Annotated[
    bool, typer.Option("--json", callback=request_json, help="Print one JSON value on stdout, for programs.")
]
Wait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long to wait until it is applied; 0 only sends it.")
]
UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="Rows per page, 1 to 1,000.")]
After = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Continue after the page that ended with this cursor.")
]

Command = Callable[..., Any]
F = TypeVar("F", bound=Command)

_EXIT_CODES: Final = {0: "success", 1: "failure", 2: "wrong usage or settings", 130: "interrupted"}
"""Of every command. Each command says itself what 1 means."""
_KEEP_LINES: Final = "\b\n"
_CODE: Final = re.compile(r"`([^`]+)`")
_EPILOGS: Final[dict[Command, str]] = {}


def command(*, examples: tuple[str, ...], exit_codes: Mapping[int, str]) -> Callable[[F], F]:
    """Declare a function as a command, with examples for its help and the exit codes that are its own."""

    def declare(function: F) -> F:
        _EPILOGS[function] = help_epilog(examples=examples, exit_codes=exit_codes)
        return function

    return declare


def add_command(
    app: typer.Typer, name: str, function: Command, *, panel: str | None = None, takes_any_option: bool = False
) -> None:
    """Add a function that `command` declared to `app`. Its docstring is the help.

    takes_any_option: an option that it does not declare is an argument.
    """
    text = help_text(function.__doc__ or "")
    settings = {"ignore_unknown_options": takes_any_option}
    declare = app.command(name, help=text, epilog=_EPILOGS[function], rich_help_panel=panel, context_settings=settings)
    declare(function)


def help_text(text: str) -> str:
    """Format plain text as help: paragraphs as wide as the terminal, `code` in colour."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n")]
    return _CODE.sub(r"[cyan]\1[/]", escape("\n\n".join(paragraphs)))


def help_epilog(*, examples: tuple[str, ...], exit_codes: Mapping[int, str]) -> str:
    """Format what follows the options of the help: the examples and the exit codes."""
    lines = [f"  {escape(line)}" for line in examples]
    codes = [f"  {code:<4} {escape(text)}" for code, text in sorted((_EXIT_CODES | dict(exit_codes)).items())]
    parts = (("Examples", lines), ("Exit codes", codes))
    return "\n\n".join(_KEEP_LINES + "\n".join((f"[bold]{title}[/]", *part)) for title, part in parts)


def client_from_env() -> Rollbook:
    """Return the client that the environment configures, for a `with` block.

    The client is imported here, not at the top of the module: help and shell completion do not need it.
    """
    from rollbook import Rollbook

    return Rollbook.from_env()
