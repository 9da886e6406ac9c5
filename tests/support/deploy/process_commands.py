"""The processes of Rollbook and their commands, once: whatever starts them must mean the same.

docker-compose.yml, the manifests for Kubernetes, the units of systemd and the README's table are held against this.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

_DASHBOARD: Final = ["-m", "rollbook_worker.dashboard"]

PROCESSES: Final[Mapping[str, str]] = {
    "migrate": "rollbook migrate",
    "default": "rollbook worker -Q default",
    "bulk": "rollbook worker -Q bulk",
    "maintenance": "python -m rollbook_worker.maintenance",
    "relay": "rollbook relay",
    "sender": "rollbook deliver",
    "server": "rollbook serve",
    "flower": "python -m rollbook_worker.dashboard",
}
LASTING: Final = tuple(name for name in PROCESSES if name != "migrate")
HEALTHY: Final = ("python", "-m", "rollbook_worker.health")
"""Asks each of them but Flower and the HTTP server, which are asked over HTTP."""
OVER_HTTP: Final = ("flower", "server")

_LOCAL: Final = {"hostname", "loglevel", "address", "host", "port"}
"""What one place may say in another way: how a process calls itself, how much it logs, where it listens."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A command, whichever way its options are written."""

    program: tuple[str, ...]
    options: Mapping[str, Any]


def meaning(command: str | Sequence[str]) -> Meaning:
    """What a command comes to. Fails on an option that its program does not know."""
    program, *arguments = shlex.split(command) if isinstance(command, str) else command
    program = program.rpartition("/")[2]
    if arguments[:2] == _DASHBOARD:
        return Meaning((program, *_DASHBOARD), _not_local(_of_tornado(arguments[2:])))
    if arguments[:1] == ["serve"]:
        options, rest = _parse(_serve_command(), arguments[1:])
        assert rest == []
        return Meaning((program, "serve"), _not_local(options))
    if arguments[:1] == ["worker"]:
        from rollbook_worker.command_line import worker_command

        options, rest = _parse(worker_command, arguments[1:])
        assert rest == []
        return Meaning((program, "worker"), _not_local(options))
    return Meaning((program, *arguments), {})


def _serve_command() -> Any:  # of Typer's own copy of click
    from typer.main import get_group

    from rollbook_ops.cli.app import app

    return get_group(app).commands["serve"]


def _not_local(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: options[name] for name in options if name not in _LOCAL}


def _parse(command: Any, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Options by the names that click has for them, as they were written, and what is left."""
    values, rest, _ = command.make_parser(click.Context(command)).parse_args(list(arguments))
    return {name: value for name, value in values.items() if isinstance(value, str | bool | list | tuple)}, rest


def _of_tornado(arguments: Sequence[str]) -> dict[str, Any]:
    import flower.command
    from tornado.options import options as known

    assert flower.command  # adds Flower's to Tornado's
    given = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
    assert [name for name in given if name not in known] == []
    return {name.replace("-", "_"): value for name, value in given.items()}
