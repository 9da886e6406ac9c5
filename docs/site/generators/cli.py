"""The page of commands: what `--help` says, for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import typer.main
from docs.site.generators.source import table

from rollbook_ops.cli.app import app

_MARKUP: Final = re.compile(r"\[(cyan|bold|/)\]")


def page() -> str:
    """A section for each command."""
    return "\n\n".join(_section(name, command) for name, command in commands())


def commands() -> list[tuple[str, Any]]:
    """Every command with its full name."""
    return list(_below(typer.main.get_command(app), "rollbook"))


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from _below(below, f"{name} {word}")


def _section(name: str, command: Any) -> str:
    parts = [f"## {name}", _plain(command.help)]
    arguments = [parameter for parameter in command.params if not _is_option(parameter)]
    options = [parameter for parameter in command.params if _is_option(parameter) and not parameter.hidden]
    if not hasattr(command, "commands"):
        words = [name, *(_name(argument) for argument in arguments), *(["[OPTIONS]"] if options else [])]
        parts.append(f"```text\n{' '.join(words)}\n```")
    if rows := [(f"`{_name(found)}`", _plain(found.help), _default(found)) for found in (*arguments, *options)]:
        parts.append(table("argument or option", "what it is", "default", rows=rows))
    return "\n\n".join([*parts, *_examples_and_exit_codes(command.epilog)])


def _is_option(parameter: Any) -> bool:
    return any(name.startswith("-") for name in parameter.opts)


def _name(parameter: Any) -> str:
    if _is_option(parameter):
        return ", ".join((*parameter.opts, *parameter.secondary_opts))
    return str(parameter.metavar or parameter.name.upper())


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or value in ([], ()) or callable(value) or value is ...:
        return ""
    return f"`{getattr(value, 'value', value)}`" if value is not True else f"`{parameter.opts[0]}`"


def _plain(text: str | None) -> str:
    """Help without the markup of the terminal: code is code again."""
    text = re.sub(r"\[cyan\](.*?)\[/\]", r"`\1`", text or "")
    return _MARKUP.sub("", text).replace("\\[", "[")


def _examples_and_exit_codes(epilog: str | None) -> Iterator[str]:
    for part in _plain(epilog).split("\n\n"):
        title, _, lines = part.strip("\b\n").partition("\n")
        if title == "Examples":
            yield "```sh\n" + "\n".join(line.strip() for line in lines.splitlines()) + "\n```"
        elif title:
            rows = [(code, what) for code, _, what in (line.strip().partition(" ") for line in lines.splitlines())]
            yield table("exit code", "what it means", rows=[(code, what.strip()) for code, what in rows])
