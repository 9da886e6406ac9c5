"""The name of another schema stands in each statement where the default one stood, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import CheckConstraint, MetaData
from tests.support.databases import OTHER_SCHEMA
from tests.support.repository import ROOT

from rollbook import AsyncRollbook, NotConfigured, Rollbook
from rollbook.numbered_parameters import numbered
from rollbook.outbox import create_table, drop_table
from rollbook.sqlalchemy import outbox_table
from rollbook_shared.database.schema import DEFAULT_SCHEMA, in_schema, outbox_name
from rollbook_shared.database.schema_cursor import use_schema
from rollbook_shared.database.session import make_session
from rollbook_worker.migrations.runner import print_sql

FILES: Final = [path for folder in ("producer", "worker", "shared") for path in sorted((ROOT / folder).rglob("*.sql"))]
MIGRATIONS: Final = sorted((ROOT / "worker/rollbook_worker/migrations/versions").glob("0*.py"))


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ("SELECT FROM rollbook.users AS u", 'SELECT FROM "EU-west".users AS u'),
        ("rollbook.f(rollbook.g(1))", '"EU-west".f("EU-west".g(1))'),
        ("'rollbook.users'::regclass", "'\"EU-west\".users'::regclass"),
        ("to_regclass('rollbook.' || name)", "to_regclass('\"EU-west\".' || name)"),
        ('DROP INDEX rollbook."users_email"', 'DROP INDEX "EU-west"."users_email"'),
        ("hashtextextended('rollbook.erasure_keys', 0)", "hashtextextended('\"EU-west\".erasure_keys', 0)"),
        ("INSERT INTO rollbook_outbox (id)", 'INSERT INTO "EU-west_outbox" (id)'),
        ("CREATE INDEX rollbook_outbox_sent", 'CREATE INDEX "EU-west_outbox_sent"'),
        ("of `rollbook_shared.domain`", "of `rollbook_shared.domain`"),
        ('"my-rollbook".users', '"my-rollbook".users'),
        ("my_rollbook.users", "my_rollbook.users"),
    ],
)
def test_the_schema_takes_its_place(given: str, then: str) -> None:
    assert in_schema(given, OTHER_SCHEMA) == then
    assert in_schema(then, OTHER_SCHEMA) == then
    assert in_schema(given, DEFAULT_SCHEMA) == given


@pytest.mark.parametrize("path", [*FILES, *MIGRATIONS], ids=lambda path: path.name)
def test_statements_name_the_schema_in_no_other_way(path: Path) -> None:
    code = re.sub(r"(?m)^ *--.*", "", path.read_text())

    assert re.findall(r".*\brollbook\b(?!\.).*", code) == []


@pytest.mark.parametrize("name", ["public", "pg_catalog", "a b", 'a"; DROP TABLE x; --', "", "é"])
def test_a_name_that_no_schema_may_have_is_rejected_wherever_it_is_given(name: str) -> None:
    for attempt in (
        lambda: Rollbook(schema=name),
        lambda: AsyncRollbook(schema=name),
        lambda: make_session("postgresql://a@b/c", application_name="tests", schema=name),
        lambda: create_table(print, name),
        lambda: drop_table(print, name),
        lambda: outbox_table(MetaData(), name),
        lambda: print_sql(name),
    ):
        with pytest.raises(NotConfigured, match=r"^the schema must be a name of 1 to 40 characters"):
            attempt()


def test_the_printed_schema_has_the_other_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_sql(OTHER_SCHEMA)

    printed = capsys.readouterr().out
    assert 'CREATE SCHEMA IF NOT EXISTS "EU-west";' in printed
    assert 'INSERT INTO "EU-west".alembic_version' in printed
    assert re.findall(r"(?m)^(?! *--).*\brollbook\b.*", printed) == []


def test_the_outbox_of_the_metadata_is_that_of_the_statements() -> None:
    table = outbox_table(MetaData(), OTHER_SCHEMA)
    statements: list[str] = []
    create_table(statements.append, OTHER_SCHEMA)

    assert table.name == outbox_name(OTHER_SCHEMA)
    for index in table.indexes:
        assert any(f'INDEX IF NOT EXISTS "{index.name}" ON "{table.name}"' in statement for statement in statements)
    checks = [constraint.name for constraint in table.constraints if isinstance(constraint, CheckConstraint)]
    assert all(f'CONSTRAINT "{name}" CHECK' in statements[0] for name in checks)
    assert len(checks) == 1


def test_a_query_of_the_client_is_of_the_schema_of_its_client() -> None:
    statement = "SELECT FROM rollbook.users WHERE id = %(id)s AND name LIKE '%%'"

    assert numbered(statement, OTHER_SCHEMA)[0] == b"SELECT FROM \"EU-west\".users WHERE id = $1 AND name LIKE '%'"
    assert numbered(statement, DEFAULT_SCHEMA)[0] == b"SELECT FROM rollbook.users WHERE id = $1 AND name LIKE '%'"


@pytest.mark.servers
def test_every_kind_of_statement_of_a_connection_is_of_its_schema(elsewhere: str) -> None:
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        use_schema(connection, OTHER_SCHEMA)
        cursor = connection.cursor()

        cursor.executemany("INSERT INTO rollbook.large_users VALUES (%s, 1)", [("a",), ("b",)])
        with cursor.copy("COPY rollbook.large_users FROM STDIN") as copy:
            copy.write_row(("c", 1))
        composed = SQL("SELECT user_id FROM rollbook.{} ORDER BY 1").format(Identifier("large_users"))

        found = [("a",), ("b",), ("c",)]
        assert connection.execute("SELECT user_id FROM rollbook.large_users ORDER BY 1").fetchall() == found
        assert connection.execute(b"SELECT user_id FROM rollbook.large_users ORDER BY 1").fetchall() == found
        assert connection.execute(composed).fetchall() == found
        assert list(cursor.stream("SELECT user_id FROM rollbook.large_users ORDER BY 1")) == found
        with connection.transaction(), connection.cursor("named") as named:
            assert named.execute(composed).fetchall() == found
