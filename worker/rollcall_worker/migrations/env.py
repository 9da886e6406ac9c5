"""Where Alembic runs our migrations: on the connection that `migrate` hands over, or printing SQL when there is
none.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from rollcall_shared.tables import SCHEMA, metadata

LOCK_TIMEOUT_SECONDS = 5
"""A migration that cannot get its lock gives up rather than queue every worker behind it."""


def run() -> None:
    connection: Connection | None = context.config.attributes.get("connection")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        literal_binds=connection is None,
        dialect_name=None if connection else "postgresql",
    )
    with context.begin_transaction():
        if connection is None:
            context.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        else:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        context.run_migrations()


run()
