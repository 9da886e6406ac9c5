"""SQL is written as constants; values reach it as parameters only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest
from tests.support.repository import ROOT

PACKAGES: Final = ("producer", "worker", "shared")
SENDING: Final = {"execute", "executemany", "exec_driver_sql", "text", "copy", "SQL"}
"""The calls whose first argument is SQL."""


def put_together(source: str) -> list[int]:
    """The lines in which a statement is made of text and of something that is no constant."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and _name(call.func) in SENDING and call.args and any(_made_up(call.args[0]))
    ]


def _made_up(statement: ast.expr) -> Iterator[bool]:
    for part in ast.walk(statement):
        match part:
            case ast.FormattedValue(value=value):
                yield not _is_constant(value)
            case ast.BinOp(op=ast.Mod() | ast.Add(), left=left, right=right) if _is_text(left) or _is_text(right):
                yield not (_is_constant(left) and _is_constant(right))
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="format" | "join")):
                yield True


def _is_constant(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) or _name(value).strip("_").isupper()


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def test_no_statement_is_built_from_values() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in put_together(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "cursor.execute(f'SELECT {name}')",
        "cursor.execute('SELECT ' + name)",
        "cursor.execute('SELECT %s' % name)",
        "cursor.execute('SELECT {}'.format(name))",
        "connection.execute(text(f'SELECT {SCHEMA}.{user.name}'))",
        "cursor.executemany(f'INSERT INTO {table}', rows)",
    ],
)
def test_a_statement_built_from_values_is_found(source: str) -> None:
    assert put_together(source)


@pytest.mark.parametrize(
    "source",
    [
        "cursor.execute('SELECT %s', [name])",
        "cursor.execute(f'CREATE SCHEMA {SCHEMA}')",
        "cursor.execute(statements.COUNT)",
        "cursor.execute('SELECT 1 ' + _REST)",
        "connection.execute(query.limit(limit + 1))",
    ],
)
def test_parameters_and_constants_are_allowed(source: str) -> None:
    assert put_together(source) == []
