"""Users without their invalid fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from rollbook.formats.records import UserRecord
from rollbook_shared.errors import Problem

_USER: Final = re.compile(r"users\[[0-9]+\]\.")
_NEVER_LEFT_OUT: Final = ("id", "preferences")
"""Without its preferences, a user would be sent messages that the user does not want."""


def without_fields(content: UserRecord, problems: Sequence[Problem]) -> UserRecord | None:
    """Return the user without the fields that have problems; None if one of these cannot be left out."""
    bad = {_field_of(content, problem) for problem in problems}
    if None in bad or bad & set(_NEVER_LEFT_OUT):
        return None
    return replace(content, user={name: value for name, value in content.user.items() if name not in bad})


def _field_of(content: UserRecord, problem: Problem) -> str | None:
    """Return the key of the user that a problem is about. A key may hold dots and brackets itself."""
    path, found = _USER.subn("", problem.field, count=1)
    if not found:
        return None
    names = [name for name in content.user if path == name or path.startswith((f"{name}.", f"{name}["))]
    return max(names, key=len, default=None)
