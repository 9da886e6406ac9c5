"""Bring the database's schema up to date: `python -m rollbook_worker.migrations [--print]`.

Safe to run at any time and by several at once: one waits for the other (an advisory lock), and then finds nothing to
do. Safe under running workers: no table is locked for longer than a second, nor waited for (see `migrations`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import ArgumentError, OperationalError

from rollbook_shared.database.tables import SCHEMA
from rollbook_shared.database.url import sqlalchemy_url
from rollbook_shared.errors import NotConfigured, RollbookError, Unavailable
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.locking import CAUTION, PATIENCE_SECONDS, until_locked

_LOCK = 0x526F6C6C63616C6C
"""Key of the advisory lock: the bytes of "Rollbook"."""


def migrate(
    database_url: str, *, say: Callable[[str], object] = lambda line: None, patience: float = PATIENCE_SECONDS
) -> None:
    """Apply every migration that the database lacks, each in a transaction of its own.

    say: is told when a lock is in the way.
    patience: seconds to go on trying then.

    Raises:
        Unavailable: the database cannot be reached, or a lock was in the way all that time; what is migrated stays.
        NotConfigured: the URL cannot be used.
    """
    try:
        engine = create_engine(sqlalchemy_url(database_url))
    except (ArgumentError, ModuleNotFoundError):  # no URL at all, or one of another database
        what = "it must be like postgresql://user@127.0.0.1:5432/app"
        raise NotConfigured(f"the database's URL cannot be used; {what}") from None
    try:
        with engine.connect() as connection:
            _prepare(connection)
            config = _config()
            config.attributes["connection"] = connection
            until_locked(connection, lambda: command.upgrade(config, "head"), say, patience=patience)
            connection.commit()
    except OperationalError as error:
        said = str(error.orig).partition("\n")[0]
        raise Unavailable(f"the database could not be migrated: {said}") from error
    finally:
        engine.dispose()


def _prepare(connection: Connection) -> None:
    # another migration is waited for, however long it takes
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    for setting in CAUTION:
        connection.execute(text(setting))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    connection.commit()


def print_sql() -> None:
    """Write to stdout the SQL that builds the schema from nothing."""
    command.upgrade(_config(), "head", sql=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def _say(line: str) -> None:
    print(f"rollbook: {line}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rollbook_worker.migrations", description="Bring the schema up to date."
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write the SQL instead of running it")
    arguments = parser.parse_args()
    try:
        if arguments.only_print:
            print_sql()
        else:
            migrate(Settings.from_env().need_database_url(), say=_say)
    except RollbookError as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return 2 if isinstance(error, NotConfigured) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
