"""All rows of all tables."""

from __future__ import annotations

from tests.support.stores import OnPostgres

from rollbook_shared.database.tables import metadata


def everything(store: OnPostgres) -> dict[str, list[str]]:
    """Every row of every table as text."""
    return {
        table.name: [
            row[0] for row in store.connection.execute(f"SELECT t::text FROM {table.fullname} AS t").fetchall()
        ]
        for table in metadata.sorted_tables
    }


def tables_with(store: OnPostgres, text: str) -> list[str]:
    """The tables of which a row has the text in it."""
    return [table for table, rows in everything(store).items() if any(text in row for row in rows)]
