"""`rollbook deliver`: the process that hands messages over."""

from __future__ import annotations

from typing import Annotated

import typer

from rollbook_ops.cli.command import command
from rollbook_shared.install_hint import require_extra


@command(
    examples=("rollbook deliver", "rollbook deliver --channel mail --channel push"),
    exit_codes={
        0: "stopped by a signal",
        2: "a setting, the registry, an option of a sender or what it names is missing or invalid",
    },
)
def deliver(
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="KEY", help="Deliver this channel; may be repeated. By default all."),
    ] = None,
) -> None:
    """Deliver messages until Ctrl-C or SIGTERM: by SMTP, webhooks, Apprise or tasks of an application's Celery.

    `ROLLBOOK_REGISTRY` names the file with the channels, and how each is delivered; `ROLLBOOK_TEMPLATES` the folder of
    templates. Changes of both are followed; SIGHUP looks at once. What has begun when it is stopped is completed, and
    the rest released. Several processes share the work. With `ROLLBOOK_HEALTH_FILE` it writes a heartbeat to that file.
    """
    require_extra("`rollbook deliver`", "deliver", "aiosmtplib", "httpcore", "liquid", "standardwebhooks", "psycopg")
    from rollbook_delivery.process.main import main

    raise typer.Exit(main(channel or ()))
