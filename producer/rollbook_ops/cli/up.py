"""`rollbook up`: everything running on this machine until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson
from rollbook_ops.cli.output import fail, print_json, say
from rollbook_ops.cli.signals import Stopped, stopping_on_signals
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.devstack.stack import LocalStack


@taught(
    "rollbook up",
    "rollbook up --data-dir ~/.rollbook --workers 2",
    exits={0: "asked to end, and ended", 1: "something did not start, or ended by itself"},
)
def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep the data, the ports and the logs here for the next run; else all is removed at the end."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers of each sort (default and bulk).")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard, on the loopback interface.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start Postgres, Valkey, workers, the maintenance loop and Flower, and keep them running until Ctrl-C.

    Servers that `ROLLBOOK_DATABASE_URL` and `ROLLBOOK_BROKER_URL` name are used instead of own ones. When all is ready,
    the URLs are printed, one a line, as NAME=VALUE; with `--json` as one object. A process that ends by itself ends
    everything.
    """
    # not before they are needed: they take their time
    from rollbook_ops.devstack.errors import ServerFailed
    from rollbook_ops.devstack.stack import LocalStack

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
            if as_json:
                print_json(urls_of(stack))
            else:
                print_urls(stack)
            say(f"ready; the logs are in {stack.folder}; stop with Ctrl-C")
            stack.watch()
    except Stopped:
        say("stopped")
    except ServerFailed as error:
        raise typer.Exit(fail(error)) from None


def print_urls(stack: LocalStack) -> None:
    """Print where things are, as other terminals need it."""
    for name, url in urls_of(stack).items():
        print(f"{name}={url}", flush=True)
    if not stack.flower_url:
        say("Flower is not running")


def urls_of(stack: LocalStack) -> dict[str, str]:
    """Where things are, by name."""
    return {**stack.environment, **({"FLOWER_URL": stack.flower_url} if stack.flower_url else {})}
