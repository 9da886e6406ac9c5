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
            help="Keep the data, the ports, the keys and the logs here; by default all is removed at the end."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers for each queue (default and bulk).")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard, on the loopback interface.")] = True,
    server: Annotated[bool, typer.Option(help="Start the HTTP server on the loopback interface.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start Postgres, Valkey, workers, the maintenance process, Flower and the HTTP server; run them until Ctrl-C.

    A server that `ROLLBOOK_DATABASE_URL` or `ROLLBOOK_BROKER_URL` names is used instead of a local one, except where
    it names the local server of an earlier run. When everything is ready, the URLs are printed, one a line, as
    NAME=VALUE; with `--json` as one object.

    `CONSOLE_URL` logs in to the console once, within a day; `rollbook console login-link developer` gives another. In a
    database that is given by URL no account is made.

    The HTTP server has keys of its own, which are printed too. User tokens are signed with a private key that is made
    in the folder, unless `ROLLBOOK_USER_TOKEN_PUBLIC_KEY` is set. All processes use the file of `ROLLBOOK_REGISTRY`; if
    it says that messages are delivered, `rollbook deliver` is started as well.

    A worker, the maintenance process, Flower or the HTTP server that ends by itself is started again, so you may kill a
    worker to see that no job is lost. If Postgres or Valkey ends, the command stops everything.
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
                schema=settings.schema,
                workers=workers,
                flower=flower,
                server=server,
                registry=settings.registry,
                report=print_note,
                check=signals.check,
            ) as stack,
        ):
            if as_json:
                print_json(urls_of(stack))
            else:
                print_urls(stack)
            if stack.private_key is not None:
                print_note(f"user tokens are signed with the private key in {stack.private_key}")
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
    if stack.http is None:
        print_note("the HTTP server is not running")


def urls_of(stack: LocalStack) -> dict[str, str]:
    """Return the URLs and the keys of the stack by the name of their environment variable."""
    server = {} if stack.http is None else stack.http.environment
    pages = {"FLOWER_URL": stack.flower_url, "CONSOLE_URL": stack.console_url}
    return {**stack.environment, **{name: url for name, url in pages.items() if url}, **server}
