"""`rollbook outbox` and `rollbook relay`: the outbox's table, its status, and the process that sends what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import fields_table, out, print_json, print_note
from rollbook_shared.database.schema import outbox_name
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.relay.outbox_table import OutboxTable


@command(
    examples=("rollbook outbox create", "rollbook outbox create --print >> migrations/0042_outbox.sql"),
    exit_codes={1: "the database is not available"},
)
def create(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
) -> None:
    """Create the table `rollbook_outbox` in the database of `ROLLBOOK_OUTBOX_URL`, if it does not exist.

    Without that variable the database is that of `ROLLBOOK_DATABASE_URL`. With `ROLLBOOK_SCHEMA` set to `eu` the table
    is `eu_outbox`.
    """
    settings = Settings.from_env()
    if only_print:
        from rollbook.outbox import create_statements

        print(*(f"{statement};" for statement in create_statements(settings.schema)), sep="\n\n")
        return
    table = _outbox_table(settings)
    try:
        table.create()
    finally:
        table.close()
    print_note(f"the table {outbox_name(settings.schema)} exists")


@command(
    examples=("rollbook outbox show", "rollbook outbox show --json | jq .unsent"),
    exit_codes={1: "the database is not available"},
)
def show(as_json: AsJson = False) -> None:
    """Show how many jobs of the outbox are not sent yet, how many Redis does not accept, how many are sent and not
    finished, and how many are finished and still kept."""
    table = _outbox_table(Settings.from_env())
    try:
        counts = table.count()
    finally:
        table.close()
    if as_json:
        print_json(counts)
        return
    fields = {
        "unsent": counts.unsent,
        "unsendable": counts.unsendable,
        "unfinished": counts.unfinished,
        "finished, kept for a while": counts.kept,
        "most attempts": counts.most_attempts,
        "oldest": None if counts.oldest_seconds is None else f"{counts.oldest_seconds:.0f} s",
    }
    out.print(fields_table("Outbox", fields))


@command(
    examples=("rollbook relay", "ROLLBOOK_OUTBOX_URL=postgresql://app@db/app rollbook relay"),
    exit_codes={0: "stopped by a signal", 2: "a setting is missing or cannot be used"},
)
def relay() -> None:
    """Send the jobs of the outbox until Ctrl-C or SIGTERM. A job is sent again until a worker has finished it.

    `ROLLBOOK_OUTBOX_URL` names the application's database (by default that of `ROLLBOOK_DATABASE_URL`). A job that is
    not finished after `ROLLBOOK_OUTBOX_RESEND_SECONDS` (60) is sent again. A finished job is kept for
    `ROLLBOOK_OUTBOX_KEEP_SECONDS` (60), and sent again if its outcome is gone then. With `ROLLBOOK_HEALTH_FILE` the
    relay writes a heartbeat to that file. Several relays share the work. `rollbook outbox show` shows what is left.
    """
    _require_drivers()
    from rollbook_ops.relay.relay import main

    raise typer.Exit(main())


def _outbox_table(settings: Settings) -> OutboxTable:
    _require_drivers()
    from rollbook_ops.relay.outbox_table import OutboxTable

    return OutboxTable(settings.need_outbox_url(), settings.schema)


def _require_drivers() -> None:
    require_extra("the outbox", "read", "psycopg")
