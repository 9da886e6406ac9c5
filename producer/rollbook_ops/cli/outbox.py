"""`rollbook outbox`: make the outbox's table, and show how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson
from rollbook_ops.cli.output import out, pairs, print_json, say
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_ops.relay.rows import Rows


@taught(
    "rollbook outbox create",
    "rollbook outbox create --print >> migrations/0042_outbox.sql",
    exits={1: "the database is away"},
)
def create(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
) -> None:
    """Make the table `rollbook_outbox` in the database of `ROLLBOOK_OUTBOX_URL`, unless it is there.

    Without that variable it is the database of `ROLLBOOK_DATABASE_URL`.
    """
    if only_print:
        from rollbook.publishing.outbox.table import CREATE_TABLE

        print(*(f"{statement};" for statement in CREATE_TABLE), sep="\n\n")
        return
    rows = _rows()
    try:
        rows.create()
    finally:
        rows.close()
    say("the table rollbook_outbox is there")


@taught("rollbook outbox show", "rollbook outbox show --json | jq .unsent", exits={1: "the database is away"})
def show(as_json: AsJson = False) -> None:
    """Show how many jobs wait in the outbox, to be sent or to be decided."""
    rows = _rows()
    try:
        counts = rows.count()
    finally:
        rows.close()
    if as_json:
        print_json(counts)
    else:
        age = None if counts.oldest_seconds is None else f"{counts.oldest_seconds:.0f} s"
        out.print(
            pairs(
                "Outbox",
                {
                    "unsent": counts.unsent,
                    "undecided": counts.unfinished,
                    "most often sent": counts.most_attempts,
                    "oldest": age,
                },
            )
        )


def _rows() -> Rows:
    need_drivers()
    from rollbook_ops.relay.rows import Rows

    return Rows(Settings.from_env().need_outbox_url())


def need_drivers() -> None:
    """See that the extra that the outbox needs is installed.

    Raises:
        NotConfigured: it is not.
    """
    require_extra("the outbox", "read", "psycopg", "sqlalchemy")
