"""The encoding of a database."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from rollbook_shared.errors import NotConfigured

ENCODING_ADVICE: Final = (
    "Rollbook needs UTF8; create another database with: CREATE DATABASE app ENCODING 'UTF8' LOCALE 'C' "
    "TEMPLATE template0"
)


def wrong_encoding(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> str | None:
    """The encoding of the database if it is not UTF-8, so that not every text can be stored; otherwise None."""
    found = connection.info.parameter_status("server_encoding")
    return None if found in (None, "UTF8") else found


def require_utf8(connection: psycopg.Connection[Any]) -> None:
    """Close the connection if its database cannot hold every text.

    Raises:
        NotConfigured: it has another encoding than UTF8.
    """
    if (found := wrong_encoding(connection)) is not None:
        connection.close()
        raise NotConfigured(f"the database has the encoding {found}; {ENCODING_ADVICE}")
