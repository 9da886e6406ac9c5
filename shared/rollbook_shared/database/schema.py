"""The schema of Postgres that a Rollbook is in. Several Rollbooks share a database, each in a schema of its own.

All SQL is written for the schema `rollbook`, and `in_schema` puts another name in its place. The schema is no
`search_path`: that would be a state of the session, which a pooler shares between its clients, and a statement without
it would read another Rollbook.

What a Rollbook has outside of its schema bears the schema's name, too: the roles of `deploy/roles.sql`, and the table
`rollbook_outbox` in the application's schema.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rollbook_shared.errors import NotConfigured

DEFAULT_SCHEMA: Final = "rollbook"
SCHEMA_CHARACTERS: Final = 40
"""The most that a name may have: Postgres cuts off what is longer than 63 with our suffixes, without an error."""
VALID_SCHEMA: Final = (
    f"a name of 1 to {SCHEMA_CHARACTERS} characters of a-z, A-Z, 0-9, _ and -, which begins with one of a-z or A-Z, "
    "and is not public, information_schema or one that begins with pg_"
)

_NAME: Final = re.compile(rf"(?!pg_)[A-Za-z][A-Za-z0-9_-]{{,{SCHEMA_CHARACTERS - 1}}}")
_NOT_OURS: Final = ("public", "information_schema")
_OURS: Final = re.compile(r"\brollbook(\.|_outbox\w*)")
_REMEMBERED: Final = 2048
"""Statements: more than there are, with the combinations of filters that are asked for."""


def is_schema(name: object) -> bool:
    """Whether a Rollbook may be in a schema of this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and name not in _NOT_OURS


def require_schema(name: str, *, what: str = "the schema") -> None:
    """Check that a Rollbook may be in a schema of this name.

    what: the name's name in the error.

    Raises:
        NotConfigured: it may not.
    """
    if not is_schema(name):
        raise NotConfigured(f"{what} must be {VALID_SCHEMA}")


@lru_cache(_REMEMBERED)
def in_schema(sql: str, schema: str) -> str:
    """The SQL for a Rollbook in this schema: `rollbook.jobs` becomes `"eu".jobs`, and `rollbook_outbox` `"eu_outbox"`.

    In string literals, too: they name tables (`'rollbook.users'::regclass`) or are hashed to keys of locks, which must
    be each Rollbook's own. Values are parameters, and so not touched.
    """
    if schema == DEFAULT_SCHEMA:
        return sql
    return _OURS.sub(lambda found: f'"{schema}".' if found[1] == "." else f'"{schema}{found[1]}"', sql)


def outbox_name(schema: str) -> str:
    """The name of the table in the application's schema from which the relay of this Rollbook sends jobs."""
    return f"{schema}_outbox"
