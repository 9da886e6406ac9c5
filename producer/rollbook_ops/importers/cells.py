"""What a cell of a CSV file says: attributes are text as they stand, a property may be any JSON value.

A property's cell is a number, `true`, `false` or `null` if it looks exactly like one in JSON, and an object or a list
if it is one; anything else is text. So `007` and `+49` stay text, as does `1e5`, which is more often a code than a
number. An empty cell says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Any, Final

from rollbook_shared.domain.attributes import ATTRIBUTES

_PLAIN: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false|null")
_SECTIONS: Final = frozenset({"preferences", "channel_data"})
"""Columns of their own that hold JSON objects."""


def cell_value(column: str, cell: str, text_columns: Container[str]) -> Any:
    """The value that a cell that is not empty stands for; `text_columns` are never read as JSON."""
    if column == "id" or column in ATTRIBUTES or column in text_columns:
        return cell
    if column in _SECTIONS or _PLAIN.fullmatch(cell) or cell[0] in "{[":
        try:
            return json.loads(cell, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return cell
    return cell


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
