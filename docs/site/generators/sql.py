"""The views and tables in Postgres, with what each column holds."""

from __future__ import annotations

import re

import sqlalchemy
from docs.site.generators.source import table, texts_below
from sqlalchemy.dialects import postgresql

from rollbook_shared.database import tables


def views() -> str:
    """A section for each view that readers may use."""
    says = texts_below(tables)
    return "\n\n".join(_section(view, says.get(view.name, "")) for view in tables.views.sorted_tables)


def internal_tables() -> str:
    """A section for each table."""
    return "\n\n".join(_section(found, found.comment or "") for found in tables.metadata.sorted_tables)


def _section(found: sqlalchemy.Table, says: str) -> str:
    rows = [(f"`{column.name}`", _type(column), column.comment or "") for column in found.columns]
    return f"### {found.name}\n\n{says}\n\n{table('column', 'type', 'what it is', rows=rows)}"


def _type(column: sqlalchemy.Column[object]) -> str:
    name = column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
    return re.sub(r" COLLATE .*", "", name).lower()
