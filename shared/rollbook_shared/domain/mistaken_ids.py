"""Ids that a program writes by mistake, such as `undefined`: all such users would become one."""

from __future__ import annotations

import re
from typing import Final

_PLACEHOLDERS: Final = frozenset(
    {"undefined", "null", "NULL", "Null", r"\N", "(null)", "<null>", "None", "nil", "NaN", "nan", "[object Object]"}
    | {"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}
)
"""What JavaScript, SQL, Python, Ruby and spreadsheets write in place of a value that is missing."""
_ROUNDED: Final = re.compile(r"-?[0-9](?:[.,][0-9]+)?E\+[0-9]+")
_BLANKS: Final = re.compile(r"\A[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+\Z")
"""Blanks at both ends, those without a width too."""


def mistake_in_id(user_id: object) -> str | None:
    """Why this cannot be meant as an id, or None. Whether an id is valid at all is not checked here."""
    if not isinstance(user_id, str):
        return None
    text = strip_blanks(user_id)
    if user_id and not text:
        return "is blank"
    if text in _PLACEHOLDERS:
        return "is what a program writes for a missing value, and not the id of a user"
    if _ROUNDED.fullmatch(text):
        return "is a number that a spreadsheet has rounded; export it again with this column as text"
    return None


def strip_blanks(text: str) -> str:
    """The text without blanks at its ends."""
    return _BLANKS.sub("", text)
