"""Statements get numbers in place of names, as psycopg would number them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from psycopg._queries import _query2pg_nocache

from rollbook.numbered_parameters import numbered
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.statements import load

PACKAGE = "rollbook.queries"
STATEMENTS = {
    f"{file.name} {name}": sql
    for file in (resources.files(PACKAGE) / "sql").iterdir()
    for name, sql in load(PACKAGE, Path(file.name).stem).items()
}


def test_a_parameter_has_one_number_however_often_it_is_named() -> None:
    text, names = numbered("SELECT %(b)s, %(a)s, %(b)s, 7 %% 2", DEFAULT_SCHEMA)

    assert (text, names) == (b"SELECT $1, $2, $1, 7 % 2", ("b", "a"))


@pytest.mark.parametrize("sql", STATEMENTS.values(), ids=STATEMENTS)
def test_psycopg_makes_the_same_of_every_statement(sql: str) -> None:
    expected, _, names, _ = _query2pg_nocache(sql.encode(), "utf-8")

    assert numbered(sql, DEFAULT_SCHEMA) == (expected, tuple(names or ()))
