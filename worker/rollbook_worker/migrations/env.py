"""Alembic runs the migrations here: on the connection that `migrate` passes, or as SQL to print if there is none."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.schema import CreateSchema

from rollbook_shared.database.tables import metadata
from rollbook_worker.migrations.locking import SESSION_SETTINGS


def run() -> None:
    connection: Connection | None = context.config.attributes.get("connection")
    schema: str = context.config.attributes["schema"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        literal_binds=connection is None,
        dialect_name=None if connection else "postgresql",
        # what is done need not be done again if a later migration meets a lock
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        if connection is None:
            # the migrations name no operator's schema; see `rollbook_shared.database.session`
            context.execute("SET search_path = pg_catalog, pg_temp")
            context.execute(CreateSchema(schema, if_not_exists=True))
            for setting in SESSION_SETTINGS:
                context.execute(setting)
        context.run_migrations()


run()
