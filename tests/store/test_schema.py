"""The migrations are the schema; the metadata in `tables` describes the same."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, text
from tests.support.python_processes import run_python

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.tables import metadata, views
from rollbook_shared.database.url import libpq_url
from rollbook_worker.store.history_months import PARTITIONED


def test_the_metadata_describes_the_tables_of_the_migrations(database_url: str) -> None:
    left_out = {"alembic_version", "jobs_skipped", *PARTITIONED}
    engine = create_engine(libpq_url(database_url).replace("://", "+psycopg://", 1))
    options: dict[str, Any] = {
        "include_schemas": True,
        "include_name": lambda name, kind, parents: kind != "schema" or name == DEFAULT_SCHEMA,
        # an expression index is never described in the same words twice
        "include_object": lambda found, name, kind, reflected, other: name not in left_out,
        "compare_type": True,
    }

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), with_partitions())
        partitioned = connection.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'rollbook'::regnamespace AND relkind = 'p'")
        ).all()
        collations = connection.execute(
            text(
                "SELECT table_name, column_name, collation_name FROM information_schema.columns"
                " WHERE table_schema = :schema AND collation_name IS NOT NULL"
            ),
            {"schema": DEFAULT_SCHEMA},
        ).all()

    assert {name for (name,) in partitioned} == set(PARTITIONED)
    # comments are for the readers of the metadata
    steps = [step for found in differences for step in (found if isinstance(found, list) else [found])]
    assert [step for step in steps if "comment" not in step[0]] == []
    described = {
        (table.name, column.name): "C"
        for table in metadata.sorted_tables
        for column in table.columns
        if getattr(getattr(column.type, "item_type", column.type), "collation", None) == "C"
    }
    tables = {table.name for table in metadata.sorted_tables}
    assert {(table, column): collation for table, column, collation in collations if table in tables} == described


def with_partitions() -> MetaData:
    """The metadata with the first partitions, which have the keys and indexes, instead of the tables that have them."""
    found = MetaData(schema=DEFAULT_SCHEMA)
    for table in metadata.sorted_tables:
        table.to_metadata(found, name=f"{table.name}_first" if table.name in PARTITIONED else None)
    return found


def test_the_metadata_describes_the_views_of_the_migrations(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for view in views.sorted_tables:
            columns = connection.execute(
                "SELECT column_name::text FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                (DEFAULT_SCHEMA, view.name),
            ).fetchall()

            assert [name for (name,) in columns] == [column.name for column in view.columns], view.name


def test_concurrent_and_repeated_migrations_succeed(own_empty_database: str) -> None:
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": own_empty_database}
    command = ("-m", "rollbook_worker.migrations")

    with ThreadPoolExecutor(3) as runs:
        done = list(runs.map(lambda _: run_python(*command, env=environment), range(3)))

    assert [run.returncode for run in done] == [0, 0, 0], done
    with psycopg.connect(own_empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM rollbook.users").fetchone() == (0,)


def test_the_printed_sql_builds_the_same_schema(own_empty_database: str) -> None:
    printed = run_python("-m", "rollbook_worker.migrations", "--print").stdout

    with psycopg.connect(own_empty_database) as connection:
        connection.execute(printed.encode())
        tables = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'",
            (DEFAULT_SCHEMA,),
        ).fetchone()

    assert tables == (len(metadata.tables) + len(PARTITIONED) + 1,)  # and Alembic's own


def test_a_missing_database_is_reported_in_one_line() -> None:
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": "postgresql://unknown@127.0.0.1:1/none"}

    run = run_python("-m", "rollbook_worker.migrations", env=environment)

    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "could not be migrated" in run.stderr


def test_no_function_runs_under_the_search_path_of_its_caller(database_url: str) -> None:
    """A function in SQL is bound when it is made; one in PL/pgSQL says its search path."""
    with psycopg.connect(database_url) as connection:
        unpinned = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'rollbook'::regnamespace AND prosqlbody IS NULL"
            " AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)"
        ).fetchall()

    assert unpinned == []
