"""The sentence that a page shows once after an action; it travels in a cookie, and so may be anything: it is text."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

FLASH_COOKIE: Final = "rollbook_console_flash"
_LEVELS: Final = ("ok", "warning", "problem")
_MAX_CHARACTERS: Final = 500


class Flash(NamedTuple):
    """What is shown."""

    text: str
    level: str
    """`ok`, `warning` or `problem`."""


def flash_as_text(flash: Flash) -> str:
    """The value of the cookie."""
    parts = [flash.text[:_MAX_CHARACTERS], flash.level]
    return urlsafe_b64encode(json.dumps(parts).encode()).decode()


def flash_of(cookie: str) -> Flash | None:
    """What the cookie says; None if it says nothing."""
    try:
        parts = json.loads(urlsafe_b64decode(cookie.encode()))
    except ValueError:
        return None
    match parts:
        case [str() as text, str() as level] if level in _LEVELS:
            return Flash(text[:_MAX_CHARACTERS], level)
    return None
