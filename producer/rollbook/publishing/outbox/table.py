"""The table `rollbook_outbox` in the application's own Postgres, found by its search path.

With Alembic `create_table(op.execute)`, with Django `migrations.RunSQL(list(CREATE_TABLE), list(DROP_TABLE))`, by hand
`rollbook outbox create --print`.

A row is one job that Rollbook has not decided yet, as far as the relay knows. `digest` is in the key because an id
that was used for two different jobs must reach the workers twice: the second is for them to refuse. `due_at` is when
the relay looks at the row next, to send it (`sent_at` is null) or to ask what became of it. `trace` names the trace of
OpenTelemetry that the job was told in. A table from before there was that column serves as well: a job's trace then
ends where it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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
    # looked for first: ALTER TABLE waits for all who write, and lets nobody else begin, also when it has nothing to do
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
"""The statements that make it, in order. Each may be run again."""

DROP_TABLE: Final = ("DROP TABLE IF EXISTS rollbook_outbox",)
"""The statements that remove it, and the jobs in it."""


def create_table(execute: Callable[[str], object]) -> None:
    """Make the table, unless it is there, with whatever runs a statement: Alembic's `op.execute`, a cursor's `execute`.

    Raises what `execute` raises; commits nothing.
    """
    for statement in CREATE_TABLE:
        execute(statement)


def drop_table(execute: Callable[[str], object]) -> None:
    """Remove the table, and with it the jobs that no worker has decided yet. As `create_table`."""
    for statement in DROP_TABLE:
        execute(statement)
