"""The id of a database of Rollbook: random, made by its migration, kept by backups. `queue_owner` says what for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import psycopg
from psycopg import errors

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_session
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.statements import load
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.reasons import safe_reason

_SQL: Final = load(__package__, "store")
_TIMEOUT: Final = timedelta(seconds=5)


def read_store_id(database_url: str, schema: str = DEFAULT_SCHEMA) -> str:
    """Read the store id, on a connection of its own.

    Raises:
        Unavailable: the database is not available.
        NotConfigured: it is not migrated, the role may not read the id, or the URL cannot be used.
    """
    session = make_session(
        database_url,
        application_name="rollbook store id",
        schema=schema,
        statement_timeout=_TIMEOUT,
        is_read_only=True,
    )
    try:
        with open_session(session, timeout_connection(_TIMEOUT)) as connection, transaction(connection):
            row = connection.execute(_SQL["select_id"]).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise NotConfigured("the database has no store id; run `rollbook migrate`") from error
    except errors.InsufficientPrivilege as error:
        raise NotConfigured(f"the role may not read {schema}.store; see deploy/roles.sql") from error
    except psycopg.Error as error:
        raise Unavailable(f"the database is not available ({safe_reason(error)})") from error
    if row is None:
        raise NotConfigured(f"the table {schema}.store is empty; insert a row of its defaults")
    return str(row[0])
