"""The processes of Rollbook and their commands, once: whatever starts them must mean the same.

docker-compose.yml, the manifests for Kubernetes, the units of systemd and the README's table are held against this.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

_WORKER: Final = "celery -A rollbook_worker.app worker --pool threads --concurrency 2 --without-gossip --without-mingle"
_COLUMNS: Final = "name,args,state,result,runtime,retries,exception,received,worker,uuid"

PROCESSES: Final[Mapping[str, str]] = {
    "migrate": "rollbook migrate",
    "default": f"{_WORKER} -Q default",
    "bulk": f"{_WORKER} -Q bulk",
    "maintenance": "python -m rollbook_worker.maintenance",
    "relay": "rollbook relay",
    "flower": f"celery flower --max-tasks=10000 --tasks-columns={_COLUMNS}",
}
LASTING: Final = tuple(name for name in PROCESSES if name != "migrate")
HEALTHY: Final = ("python", "-m", "rollbook_worker.health")
"""Asks each of them but Flower, which is asked over HTTP."""

_LOCAL: Final = {"hostname", "loglevel", "address", "port"}
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
    if program != "celery":
        return Meaning((program, *arguments), {})
    from celery.bin.celery import celery

    group, rest = _parse(celery, arguments)
    subcommand, *arguments = rest
    if subcommand == "flower":
        options = _of_tornado(arguments)
    else:
        options, rest = _parse(celery.commands[subcommand], arguments)
        assert rest == []
    said = group | options
    return Meaning((program, subcommand), {name: said[name] for name in said if name not in _LOCAL})


def _parse(command: click.Command, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
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
