"""`rollcall up`: everything running on this machine until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rollcall.cli.output import err, fail, say
from rollcall.cli.stopping import Stopped, stopping_on_signals
from rollcall.local.errors import ServerFailed
from rollcall.local.stack import LocalStack
from rollcall_shared.settings import Settings


def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep the data, the ports and the logs here for the next run; else all is removed at the end."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers of each sort (live and bulk).")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard, on the loopback interface.")] = True,
) -> None:
    """Start Postgres, Valkey, workers, the upkeep loop and Flower, and keep them running until Ctrl-C.

    Servers that ROLLCALL_DATABASE_URL and ROLLCALL_BROKER_URL name are used instead of own ones. When all is ready,
    the URLs are printed, one a line, as NAME=VALUE. A process that ends by itself ends everything, with exit code 1.
    """
    settings = Settings.from_env()
    try:
        with (
            stopping_on_signals() as stopping,
            LocalStack(
                data_dir=data_dir,
                database_url=settings.database_url,
                broker_url=settings.broker_url,
                workers=workers,
                flower=flower,
                say=say,
                check=stopping.check,
            ) as stack,
        ):
            print_urls(stack)
            say(f"ready; the logs are in {stack.folder}; stop with Ctrl-C")
            stack.watch()
    except Stopped:
        say("stopped")
    except ServerFailed as error:
        raise typer.Exit(fail(error)) from None


def print_urls(stack: LocalStack) -> None:
    """Print where things are, as other terminals need it."""
    for name, url in stack.environment.items():
        print(f"{name}={url}", flush=True)
    if stack.flower_url:
        print(f"FLOWER_URL={stack.flower_url}", flush=True)
    else:
        err.print("[dim]Flower is not running[/]")
