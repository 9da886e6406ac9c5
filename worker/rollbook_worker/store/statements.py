"""The named SQL statements of `queries/`, a file for each table."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString, cast

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(table: str) -> dict[str, LiteralString]:
    """The statements of one file by name."""
    text = (resources.files(__package__) / "queries" / f"{table}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    # files of this package are as literal as strings in its code
    return {name: cast(LiteralString, sql.strip()) for name, sql in zip(parts[::2], parts[1::2], strict=True)}
