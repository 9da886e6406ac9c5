"""The table `rollbook_outbox`, for the migrations of the application.

With Alembic `create_table(op.execute)`; with Django `migrations.RunSQL(list(CREATE_TABLE), list(DROP_TABLE))`; with
SQLAlchemy's metadata `rollbook.sqlalchemy.outbox_table`; by hand `rollbook outbox create --print`. The table is in the
application's own Postgres, in a schema of its search path. `rb.outbox(transaction)` writes the rows, and
`rollbook relay` sends them.

A row is one job that no worker has finished yet, as far as the relay knows. `digest` is part of the key because an id
that was used for two different jobs must reach the workers twice: they reject the second. `due_at` is when the relay
looks at the row next, to send it (`sent_at` is null) or to ask whether it is finished. `trace` names the OpenTelemetry
trace of the call that wrote it. A table from before that column existed works as well: a job's trace then ends where
the job is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["CREATE_TABLE", "DROP_TABLE", "TABLE", "create_table", "drop_table"]

TABLE: Final = "rollbook_outbox"

CREATE_TABLE: Final = (
    """\
CREATE TABLE IF NOT EXISTS rollbook_outbox (
    id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    trace text,
    PRIMARY KEY (id, digest)
)""",
    # checked first: ALTER TABLE waits for all writers and blocks new ones, even when it has nothing to change
    """\
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = to_regclass('rollbook_outbox') AND attname = 'trace'
    ) THEN
        ALTER TABLE rollbook_outbox ADD COLUMN trace text;
    END IF;
END
$$""",
    "CREATE INDEX IF NOT EXISTS rollbook_outbox_unsent ON rollbook_outbox (due_at) WHERE sent_at IS NULL",
    "CREATE INDEX IF NOT EXISTS rollbook_outbox_sent ON rollbook_outbox (due_at) WHERE sent_at IS NOT NULL",
)
"""The statements that create it, in order. Each may be run again."""

DROP_TABLE: Final = ("DROP TABLE IF EXISTS rollbook_outbox",)
"""The statements that drop it, with the jobs in it."""


def create_table(execute: Callable[[str], object]) -> None:
    """Create the table, unless it exists.

    execute: runs a statement, such as Alembic's `op.execute` or a cursor's `execute`. Its errors are raised, and
        nothing is committed.
    """
    for statement in CREATE_TABLE:
        execute(statement)


def drop_table(execute: Callable[[str], object]) -> None:
    """Drop the table, with the jobs that no worker has finished yet. For `execute` see `create_table`."""
    for statement in DROP_TABLE:
        execute(statement)
