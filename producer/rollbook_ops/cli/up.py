"""`rollbook up`: runs everything on this machine until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import print_exception, print_json, print_note
from rollbook_ops.cli.signals import StopRequested, stop_on_signals
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.devstack.stack import LocalStack


@command(
    examples=("rollbook up", "rollbook up --data-dir ~/.rollbook --workers 2"),
    exit_codes={0: "stopped by a signal", 1: "a process did not start, or a server ended by itself"},
)
def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep the data, the ports (Flower's too) and the logs here; by default all is removed at the end."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers for each queue (default and bulk).")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard, on the loopback interface.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start Postgres, Valkey, workers, the maintenance process and Flower, and run them until Ctrl-C.

    A server that `ROLLBOOK_DATABASE_URL` or `ROLLBOOK_BROKER_URL` names is used instead of a local one, except where
    it names the local server of an earlier run. When everything is ready, the URLs are printed, one a line, as
    NAME=VALUE; with `--json` as one object.

    A worker, the maintenance process or Flower that ends by itself is started again, so you may kill a worker to see
    that no job is lost. If a local server ends, the command stops everything.
    """
    require_extra("`rollbook up`", "worker", "celery", "psycopg")
    # Imported late: help and completion need none of this.
    from rollbook_ops.devstack.errors import ServerFailed
    from rollbook_ops.devstack.stack import LocalStack

    settings = Settings.from_env()
    try:
        with (
            stop_on_signals() as signals,
            LocalStack(
                data_dir=data_dir,
                database_url=settings.database_url,
                broker_url=settings.broker_url,
                workers=workers,
                flower=flower,
                report=print_note,
                check=signals.check,
            ) as stack,
        ):
            if as_json:
                print_json(urls_of(stack))
            else:
                print_urls(stack)
            print_note(f"ready; the logs are in {stack.folder}; stop with Ctrl-C")
            stack.keep_running()
    except StopRequested:
        print_note("stopped")
    except ServerFailed as error:
        raise typer.Exit(print_exception(error)) from None


def print_urls(stack: LocalStack) -> None:
    """Print the URLs of the stack as lines that another terminal can export."""
    for name, url in urls_of(stack).items():
        print(f"{name}={url}", flush=True)
    if not stack.flower_url:
        print_note("Flower is not running")


def urls_of(stack: LocalStack) -> dict[str, str]:
    """Return the URLs of the stack by the name of their environment variable."""
    return {**stack.environment, **({"FLOWER_URL": stack.flower_url} if stack.flower_url else {})}
