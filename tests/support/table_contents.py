"""All rows of all tables."""

from __future__ import annotations

from tests.support.stores import OnPostgres

from rollbook_shared.database.tables import metadata


def everything(store: OnPostgres) -> dict[str, list[str]]:
    """Every row of every table as text, with all bytes in it as text too."""
    return {
        table.name: [
            f"{text} {[bytes(value).decode(errors='replace') for value in values if isinstance(value, bytes)]}"
            for text, *values in store.connection.execute(f"SELECT t::text, t.* FROM {table.fullname} AS t").fetchall()
        ]
        for table in metadata.sorted_tables
    }


def tables_with(store: OnPostgres, text: str) -> list[str]:
    """The tables of which a row has the text in it."""
    return [table for table, rows in everything(store).items() if any(text in row for row in rows)]
