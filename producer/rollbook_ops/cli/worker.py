"""`rollbook worker`: a worker. A worker that runs has not even loaded this: see `rollbook_ops.cli`."""

from __future__ import annotations

from typing import Annotated

import typer

from rollbook_ops.cli.command import command
from rollbook_shared.install_hint import require_extra


@command(
    examples=(
        "rollbook worker",
        "rollbook worker -Q bulk",
        "rollbook worker -Q default --concurrency 4 -n default-2@%h",
    ),
    exit_codes={
        0: "stopped by SIGTERM or SIGQUIT",
        1: "stopped by Ctrl-C, or a setting is missing or invalid",
    },
)
def worker(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="CELERY_OPTIONS", help="Options of Celery's command `worker`, and `--app`."),
    ] = None,
) -> None:
    """Apply jobs to the database of `ROLLBOOK_DATABASE_URL`, until Ctrl-C or SIGTERM. Several workers share the work.

    Without options a worker takes the jobs of both queues, is named `rollbook@HOST`, has two threads, and logs what it
    does. `-Q default` takes only single writes and triggers, `-Q bulk` only bulk jobs and imports: with a worker for
    each, an import delays no sign-up. They are named `default@HOST` and `bulk@HOST`; `-n` gives a worker another name,
    which no two may share.

    Every option of Celery's command `worker` works; `python -m rollbook_worker --help` lists them. `--app` names an
    application of your own, around that of `rollbook_worker.app`.

    `celery -A rollbook_worker.app worker` starts the same worker, with Celery's defaults. Celery's command line loads
    its plug-ins first, such as Flower, and takes a fifth more memory.
    """
    require_extra("a worker", "worker", "celery", "psycopg")
    from rollbook_worker.command_line import main

    main(options or ())
