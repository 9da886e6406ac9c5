"""Statements in the form in which Postgres takes them: `$1` in place of `%(name)s`.

psycopg makes the same of them, but remembers statements of up to 4,096 characters only. A longer one it parses each
time that it is run, which takes a tenth of a millisecond: an eighth of reading a feed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rollbook_shared.database.schema import in_schema

_PLACEHOLDER: Final = re.compile(r"%(?:\((\w+)\)s|%)")
_REMEMBERED: Final = 256
"""Statements: more than there are, with every combination of filters that a list is asked for."""


@lru_cache(_REMEMBERED)
def numbered(sql: str, schema: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement, for the Rollbook in this schema and a raw cursor of psycopg, and the names of its parameters in
    the order of their numbers.
    """
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PLACEHOLDER.sub(number, in_schema(sql, schema)).encode(), tuple(numbers)
