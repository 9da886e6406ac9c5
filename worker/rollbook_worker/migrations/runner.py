"""Bring the database's schema up to date: `python -m rollbook_worker.migrations [--print]`.

Safe to run at any time and by several processes at once: one waits for the other (an advisory lock), and then finds
nothing to do. Safe while workers run: it locks no table for longer than a second, and waits no longer for a lock (see
`migrations`).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import errors
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from rollbook_shared.database.encoding import require_utf8
from rollbook_shared.database.schema import DEFAULT_SCHEMA, in_schema, require_schema
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import SharedSession
from rollbook_shared.errors import NotConfigured, RollbookError, Unavailable
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.locking import (
    SESSION_SETTINGS,
    TIMEOUT_SECONDS,
    AnotherMigration,
    lock_migrations,
    retry_when_locked,
)

_PRIVILEGES = (
    "migrate as the owner of Rollbook's tables, and once as a role that may create the schema: "
    "GRANT CREATE ON DATABASE app TO that role"
)


def migrate(
    database_url: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    report: Callable[[str], object] = lambda line: None,
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Apply every migration that the schema lacks, each in a transaction of its own.

    report: gets a line each time that a lock is in the way.
    timeout: seconds to go on trying then.

    Raises:
        Unavailable: the database cannot be reached, or rejected a statement, or a lock or another migration was in the
            way all that time; completed migrations stay.
        NotConfigured: the URL cannot be used, the database is not in UTF8, or the role may not create or change tables.
    """
    session = make_session(database_url, application_name="rollbook migrate", schema=schema)

    def connect() -> psycopg.Connection[Any]:
        # its lock lasts as long as the session
        connection = open_session(session, psycopg.Connection, autocommit=False)
        require_utf8(connection)
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect)
    try:
        with engine.connect() as connection:
            lock_migrations(connection, report, timeout=timeout)
            _prepare(connection, schema)
            config = alembic_config(schema)
            config.attributes["connection"] = connection
            retry_when_locked(connection, lambda: command.upgrade(config, "head"), report, timeout=timeout)
            connection.commit()
    except AnotherMigration as error:
        raise Unavailable(f"the database could not be migrated: {error}; end that session, or try again") from error
    except SharedSession as error:
        raise NotConfigured(f"the database could not be migrated: {error}") from error
    except DBAPIError as error:
        # what the server answered to a statement may be said here: no statement of a migration has a value
        said = str(error.orig).partition("\n")[0] if getattr(error.orig, "sqlstate", None) else safe_reason(error)
        if isinstance(error.orig, errors.InsufficientPrivilege):
            raise NotConfigured(f"the database could not be migrated: {said}; {_PRIVILEGES}") from error
        raise Unavailable(f"the database could not be migrated: {said}") from error
    finally:
        engine.dispose()


def _prepare(connection: Connection, schema: str) -> None:
    for setting in SESSION_SETTINGS:
        connection.execute(text(setting))
    connection.execute(CreateSchema(schema, if_not_exists=True))
    connection.commit()


def print_sql(schema: str = DEFAULT_SCHEMA) -> None:
    """Write to stdout the SQL that builds the schema from nothing.

    Raises:
        NotConfigured: no Rollbook may be in a schema of this name.
    """
    require_schema(schema)
    written = io.StringIO()
    config = alembic_config(schema)
    config.output_buffer = written
    command.upgrade(config, "head", sql=True)
    print(in_schema(written.getvalue(), schema), end="")


def alembic_config(schema: str = DEFAULT_SCHEMA) -> Config:
    """Where Alembic finds our migrations, and in which schema it runs them."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["schema"] = schema
    return config


def _report(line: str) -> None:
    print(f"rollbook: {line}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rollbook_worker.migrations", description="Bring the schema up to date."
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write the SQL instead of running it")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_env()
        if arguments.only_print:
            print_sql(settings.schema)
        else:
            migrate(settings.need_database_url(), schema=settings.schema, report=_report)
    except RollbookError as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return 2 if isinstance(error, NotConfigured) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
