"""The pages on scale and capacity are true: statements run, settings exist, and figures name their command."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
from tests.support.documentation import arguments_of, blocks, text_of

from rollbook_shared.database.tables import metadata

PAGE = "docs/how-to/scale.md"
FIGURES = text_of("docs/explanation/capacity.md") + "\n\n" + text_of("docs/explanation/beyond-one-postgres.md")
STATEMENTS = [arguments[-1] for arguments in arguments_of(PAGE, "psql")]
SETTINGS = [line.partition("#")[0] for block in blocks(PAGE, "ini") for line in block.text.splitlines()]


def test_statements_of_the_scale_pages_run(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        for statement in STATEMENTS:
            connection.execute(statement.encode())

    assert len(STATEMENTS) >= 4


def test_postgres_knows_the_settings_of_the_scale_pages(database_url: str) -> None:
    named = {line.partition("=")[0].strip() for line in SETTINGS if line.strip()}

    with psycopg.connect(database_url) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM pg_settings")}

    assert named
    assert named - known == set()


def test_tables_of_the_scale_pages_exist() -> None:
    tables = {table.name for table in metadata.tables.values()}

    assert set(re.findall(r"rollbook\.(\w+)", "\n".join(STATEMENTS))) <= tables


def test_each_table_of_figures_has_its_command() -> None:
    """In the paragraph above it, or in its own head."""
    parts = FIGURES.split("\n\n")
    tables = [number for number, part in enumerate(parts) if re.search(r"^\|.*\| \d", part, re.MULTILINE)]

    assert len(tables) >= 8
    assert [parts[at] for at in tables if "`./run " not in parts[at - 1] + parts[at]] == []


def test_no_figure_is_missing() -> None:
    assert re.findall(r"(?<![\w?])\?.*", FIGURES) == []
