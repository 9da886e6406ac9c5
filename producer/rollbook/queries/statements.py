"""The named SQL statements of `queries/`, for those questions that a query builder would only obscure."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)


def load(file: str) -> dict[str, str]:
    """The statements of one file by name. A `{name}` in one is a statement, or a part of one, that is above it."""
    text = (resources.files(__package__) / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    found: dict[str, str] = {}
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        found[name] = _COMMENT.sub("", sql).strip().format_map(found)
    return found
