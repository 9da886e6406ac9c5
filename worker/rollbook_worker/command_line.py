"""The command line of a worker: Celery's `worker` command by itself, with the defaults of Rollbook.

Celery's own command line, `celery -A rollbook_worker.app worker`, starts the same worker. But it first imports every
command of Celery and of its plug-ins, Flower among them, and these stay in the worker's memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click
from celery.app.utils import find_app
from celery.bin.base import CeleryCommand, CeleryOption, CLIContext
from celery.bin.worker import detach, worker

NAME: Final = "rollbook worker"
_APP: Final = "rollbook_worker.app"
_DETACH: Final = ("-D", "--detach")


def main(arguments: Sequence[str]) -> NoReturn:
    """Run a worker until it is stopped, and exit. The arguments are options of Celery's `worker`, and `--app`.

    An option that is not among them, nor in a variable such as `CELERY_WORKER_CONCURRENCY`, has a default of Rollbook
    or of Celery.
    """
    sys.exit(
        worker_command.main(
            [*arguments],
            prog_name=NAME,
            auto_envvar_prefix="CELERY_WORKER",  # as Celery's command line has it
            default_map=_DEFAULTS,
            obj=_Program(arguments),
        )
    )


def _node_name() -> str:
    """Workers of different queues have different names. Click calls this after it has read the command line."""
    queues = click.get_current_context().params.get("queues") or ["rollbook"]
    return f"{'-'.join(queues)}@%h"


_DEFAULTS: Final[dict[str, Any]] = {
    "hostname": _node_name,
    # Two threads, so that slow jobs do not block the others. More make nothing faster: more processes do.
    "pool": "threads",
    "concurrency": "2",
    "loglevel": "INFO",
}


class _Program(CLIContext):  # type: ignore[misc]  # Celery ships no types
    """What Celery's command asks of the program around it."""

    app: Any = None

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = arguments
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self.quiet = False
        self.workdir = None


def _use_app(context: click.Context, _: click.Parameter, name: str) -> None:
    try:
        context.obj.app = find_app(name)
    except ModuleNotFoundError as error:
        if not f"{name.partition(':')[0]}.".startswith(f"{error.name}."):  # something that the module imports
            raise
        raise click.BadParameter(f"there is no module {error.name}") from error


@click.command(
    "worker",
    cls=CeleryCommand,
    context_settings=worker.context_settings,
    params=[
        CeleryOption(
            ("-A", "--app"),
            default=_APP,
            is_eager=True,  # Celery's options ask it for their defaults
            expose_value=False,
            callback=_use_app,
            help_group="Worker Options",
            help=f"An application of your own, around that of {_APP}.",
        ),
        *worker.params,
    ],
)
@click.pass_context
def worker_command(context: click.Context, /, **options: Any) -> None:
    """Start a worker, with the options of Celery's `worker`."""
    if options["detach"]:
        context.exit(_detach(context.obj, options))
    worker.callback(**options)


def _detach(program: _Program, options: dict[str, Any]) -> int:
    """Start the worker as a daemon. Celery would start its own command line."""
    arguments = [argument for argument in program.arguments if argument not in _DETACH]
    passed_on = ("logfile", "pidfile", "uid", "gid", "umask", "executable", "hostname")
    status: int = detach(
        sys.executable,
        ["-m", __package__, *arguments],
        app=program.app,
        **{name: options[name] for name in passed_on},
    )
    return status
