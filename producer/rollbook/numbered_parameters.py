"""Statements in the form in which Postgres takes them: `$1` in place of `%(name)s`.

psycopg makes the same of them, but remembers statements of up to 4,096 characters only. A longer one it parses each
time that it is run, which takes a tenth of a millisecond: an eighth of reading a feed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rollbook_shared.database.schema import DEFAULT_SCHEMA, in_schema

if TYPE_CHECKING:
    from rollbook.queries.query import Statement

_PLACEHOLDER: Final = re.compile(r"%(?:\((\w+)\)s|%)")
_REMEMBERED: Final = 256
"""Statements: more than there are, with every combination of filters that a list is asked for."""


def numbered(statement: Statement, schema: str = DEFAULT_SCHEMA) -> tuple[bytes, list[object]]:
    """The statement, for the Rollbook in this schema, and its parameters for a raw cursor of psycopg."""
    text, names = _numbered(statement.sql, schema)
    return text, [statement.parameters[name] for name in names]


@lru_cache(_REMEMBERED)
def _numbered(sql: str, schema: str) -> tuple[bytes, tuple[str, ...]]:
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PLACEHOLDER.sub(number, in_schema(sql, schema)).encode(), tuple(numbers)
