"""Opens the reader, if what it needs is installed: an application that only enqueues does without SQLAlchemy."""

from __future__ import annotations

from datetime import timedelta

from rollbook.queries.reader import Reader
from rollbook_shared.install_hint import missing_extra


def open_reader(database_url: str, history: timedelta, timeout: timedelta) -> Reader:
    """A reader of this database; connects when first asked. `timeout` bounds each question to it.

    Raises:
        NotConfigured: the extra `read` is not installed, or the URL cannot be used.
    """
    try:
        from rollbook.queries.postgres_reader import PostgresReader

        return PostgresReader(database_url, history, timeout)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("sqlalchemy", "psycopg"):
            raise
        raise missing_extra("reading", "read") from error
