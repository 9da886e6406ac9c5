"""The table `rollbook_outbox`, for the migrations of the application.

With Alembic `create_table(op.execute)`; with Django `migrations.RunSQL(list(CREATE_TABLE), list(DROP_TABLE))`; with
SQLAlchemy's metadata `rollbook.sqlalchemy.outbox_table`; by hand `rollbook outbox create --print`. The table is in the
application's own Postgres, in a schema of its search path. `rb.outbox(transaction)` writes the rows, and
`rollbook relay` sends them.

A Rollbook whose schema (`ROLLBOOK_SCHEMA`) is not `rollbook` has an outbox of its own, named for that: `eu_outbox`.
Otherwise the relays of two Rollbooks would share the jobs. So each function here takes that schema, and so does
`RunSQL(list(create_statements("eu")), list(drop_statements("eu")))`.

A row is one job that no worker has finished yet, as far as the relay knows, or that was finished a short while ago
(`finished_at`): Rollbook's database may lose the outcome in a failover to a replica that is behind, and then the relay
sends the job again. `dead_on` is the timeline of that database on which the relay saw a dead letter of the job: on the
same timeline a dead letter that is gone was dropped or replayed, not lost. `digest` is part of the key because an id
that was used for two different jobs must reach the workers twice: they reject the second. `due_at` is when the relay
looks at the row next, to send it (`sent_at` is null) or to ask whether it is finished. `trace` names the OpenTelemetry
trace of the call that wrote it. A table from before that column existed works as well: a job's trace then ends where
the job is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rollbook_shared.database.schema import DEFAULT_SCHEMA, in_schema, outbox_name, require_schema
from rollbook_shared.limits import JOB_BYTES

__all__ = ["CREATE_TABLE", "DROP_TABLE", "TABLE", "create_statements", "create_table", "drop_statements", "drop_table"]

TABLE: Final = outbox_name(DEFAULT_SCHEMA)
_SIZE_CHECK: Final = (
    f"CONSTRAINT rollbook_outbox_body_size CHECK (pg_catalog.octet_length(body) OPERATOR(pg_catalog.<=) {JOB_BYTES})"
)

CREATE_TABLE: Final = (
    f"""\
CREATE TABLE IF NOT EXISTS rollbook_outbox (
    id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    due_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    sent_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    trace text,
    finished_at timestamptz,
    dead_on integer,
    PRIMARY KEY (id, digest),
    {_SIZE_CHECK}
)""",
    # checked first: ALTER TABLE waits for all writers and blocks new ones, even when it has nothing to change
    """\
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_attribute
        WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('rollbook_outbox')
            AND attname OPERATOR(pg_catalog.=) 'trace'
    ) THEN
        ALTER TABLE rollbook_outbox ADD COLUMN trace text;
    END IF;
    IF NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_attribute
        WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('rollbook_outbox')
            AND attname OPERATOR(pg_catalog.=) 'dead_on'
    ) THEN
        ALTER TABLE rollbook_outbox ADD COLUMN finished_at timestamptz, ADD COLUMN dead_on integer;
    END IF;
END
$$""",
    # for new rows only: the rows of a table from before may be larger, and the relay copes with them
    f"""\
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_constraint
        WHERE conrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('rollbook_outbox')
            AND pg_catalog.right(conname::pg_catalog.text, 17) OPERATOR(pg_catalog.=) '_outbox_body_size'
    ) THEN
        ALTER TABLE rollbook_outbox ADD {_SIZE_CHECK} NOT VALID;
    END IF;
END
$$""",
    "CREATE INDEX IF NOT EXISTS rollbook_outbox_unsent ON rollbook_outbox (due_at) WHERE sent_at IS NULL",
    "CREATE INDEX IF NOT EXISTS rollbook_outbox_sent ON rollbook_outbox (due_at) WHERE sent_at IS NOT NULL",
)
"""The statements that create it, in order. Each may be run again."""

DROP_TABLE: Final = ("DROP TABLE IF EXISTS rollbook_outbox",)
"""The statements that drop it, with the jobs in it."""


def create_table(execute: Callable[[str], object], rollbook_schema: str = DEFAULT_SCHEMA) -> None:
    """Create the table, unless it exists.

    execute: runs a statement, such as Alembic's `op.execute` or a cursor's `execute`. Its errors are raised, and
        nothing is committed.
    rollbook_schema: that of the Rollbook for which the jobs are.

    Raises:
        NotConfigured: no Rollbook may be in a schema of this name.
    """
    for statement in create_statements(rollbook_schema):
        execute(statement)


def drop_table(execute: Callable[[str], object], rollbook_schema: str = DEFAULT_SCHEMA) -> None:
    """Drop the table, with the jobs that no worker has finished yet. The arguments are those of `create_table`."""
    for statement in drop_statements(rollbook_schema):
        execute(statement)


def create_statements(rollbook_schema: str) -> tuple[str, ...]:
    """`CREATE_TABLE` for the Rollbook in this schema.

    Raises:
        NotConfigured: no Rollbook may be in a schema of this name.
    """
    require_schema(rollbook_schema)
    return tuple(in_schema(statement, rollbook_schema) for statement in CREATE_TABLE)


def drop_statements(rollbook_schema: str) -> tuple[str, ...]:
    """`DROP_TABLE` for the Rollbook in this schema.

    Raises:
        NotConfigured: no Rollbook may be in a schema of this name.
    """
    require_schema(rollbook_schema)
    return tuple(in_schema(statement, rollbook_schema) for statement in DROP_TABLE)
