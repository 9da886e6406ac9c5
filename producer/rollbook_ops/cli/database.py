"""`rollbook migrate`, `rollbook maintenance` and `rollbook erase`: what operators run on Rollbook's own database.

These commands call the worker package, and so need the extra `worker`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.command import AsJson, UserId, command
from rollbook_ops.cli.output import out, print_json, print_note, spinner
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings


class OptionalIndex(StrEnum):
    """The optional indexes."""

    PHONE_NUMBER = "phone_number"
    PREFIX = "prefix"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


@command(
    examples=("rollbook migrate", "rollbook migrate --print > schema.sql", "rollbook migrate --index prefix"),
    exit_codes={1: "the database is not available, or a table stayed locked for too long; run it again"},
)
def migrate(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
    index: Annotated[
        OptionalIndex | None, typer.Option(help="Also create this optional index, while workers run.")
    ] = None,
    drop_index: Annotated[OptionalIndex | None, typer.Option(help="Also drop this optional index.")] = None,
) -> None:
    """Create Rollbook's tables in the database of `ROLLBOOK_DATABASE_URL`, or bring them up to date.

    Run it before each new version. It is safe to run at any time, while workers run, and from several machines at once.
    All tables are in the schema that `ROLLBOOK_SCHEMA` names, by default `rollbook`.

    With the index `phone_number`, more than 10,000 users can be searched by phone number; with `prefix` by the start
    of their e-mail address or name; with `created_at` and `updated_at` they can be sorted by these. Each makes writes
    slower, `updated_at` every one. Creating the others writes every user once more, a thousand at a time.
    """
    _require_worker("migrating")
    from rollbook_worker.migrations import optional_indexes
    from rollbook_worker.migrations.runner import migrate, print_sql

    settings = Settings.from_env()
    if only_print:
        print_sql(settings.schema)
        return
    url = settings.need_database_url()
    migrate(url, schema=settings.schema, report=print_note)
    print_note("the tables are up to date")
    if index is not None:
        created = optional_indexes.create_index(url, index.value, settings.schema)
        print_note(f"the index {index.value} {'is created' if created else 'is there already'}")
    if drop_index is not None:
        optional_indexes.drop_index(url, drop_index.value, settings.schema)
        print_note(f"the index {drop_index.value} is dropped")


@command(
    examples=("rollbook maintenance",),
    exit_codes={0: "stopped by a signal", 2: "a setting is missing or cannot be used"},
)
def maintenance() -> None:
    """Run the periodic tasks until Ctrl-C or SIGTERM.

    They release deferred jobs that are due, erase deleted users, and remove old rows. One process is enough; several
    share the work. With `ROLLBOOK_HEALTH_FILE` the process writes a heartbeat
    to that file.
    """
    _require_worker("maintenance")
    from rollbook_worker.maintenance.periodic import main

    raise typer.Exit(main())


@command(
    examples=("rollbook users export ann --output ann.json", "rollbook erase ann --now"),
    exit_codes={1: "the database is not available"},
)
def erase(
    user_id: UserId,
    now: Annotated[bool, typer.Option("--now", help="Confirm the erasure; it cannot be undone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a user and erase everything stored about the user now, without waiting for the erasure delay (24 hours).

    Only the record of the delete (the id and the time) is kept until then, because older jobs may still arrive.
    Erasing an id that was merged away erases no user: erase the user it was merged into.
    """
    from rollbook.queries.validation import checked_user_id

    user_id = checked_user_id(user_id)
    if not now:
        raise typer.BadParameter("erasing cannot be undone; confirm with --now", param_hint="--now")
    _require_worker("erasing")
    from rollbook_worker.maintenance.erase import erase
    from rollbook_worker.store import PostgresStore

    store = PostgresStore.from_settings(Settings.from_env())
    try:
        with spinner("erasing"):
            rows = erase(store, user_id)
    finally:
        store.close()
    if as_json:
        print_json(rows)
        return
    table = Table("table", "rows erased")
    for name, count in sorted(rows.items()):
        table.add_row(name, f"{count:,}")
    out.print(table if rows else "nothing is stored about this id")


def _require_worker(feature: str) -> None:
    require_extra(feature, "worker", "alembic", "sqlalchemy", "psycopg")
