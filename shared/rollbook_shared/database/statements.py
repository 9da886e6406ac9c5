"""Loads named SQL statements from the `.sql` files of a package, which hold all SQL that the code runs.

    -- name: expired
    -- The jobs whose retention is over.
    SELECT id
    FROM rollbook.jobs
    WHERE finished_at < %(horizon)s

A statement ends where the next name begins. Its parameters are written as psycopg takes them. The line
`-- include: expired` stands for the statement, or the part of one, that is above it in the same file.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString

REMEMBERED: Final = 4_096
"""Characters of a statement up to which psycopg remembers where its parameters are. In a longer one it looks for them
each time, for 30 microseconds, so such a statement is loaded without its indentation.
"""
_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^--.*\n?", re.MULTILINE)
_INDENTATION: Final = re.compile(r"^ +", re.MULTILINE)
_INCLUDE: Final = re.compile(r"^ *-- include: (\w+)$", re.MULTILINE)


def load(package: str, file: str) -> dict[str, LiteralString]:
    """The statements of one file by name, without the comments that begin a line.

    package: the package that has the file in its folder `sql`.
    file: its name without `.sql`.
    """
    text = (resources.files(package) / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    statements: dict[str, LiteralString] = {}
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        statement = _COMMENT.sub("", _INCLUDE.sub(lambda match: statements[match[1]], sql)).strip()
        statements[name] = statement if len(statement) <= REMEMBERED else _INDENTATION.sub("", statement)
    return statements
