"""Personal data, masked for accounts without the right to see it. Ids of users are not masked: they are what an account
looks for, and what the audit names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "•••"
_LEAST_FOR_FIRST: Final = 3
"""Characters of a text of which the first is shown."""
_LEAST_FOR_LAST: Final = 8
"""Characters of a phone number of which the last two are shown."""


def masked(value: Any, kind: str = "text") -> str:
    """What is shown in place of a value.

    kind: `email`, `phone`, `text` (the first character is shown), or `value` (nothing is, such as of a property).
    """
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else ""
    match kind:
        case "email" if "@" in text:
            return f"{_first(text.partition('@')[0])}@{HIDDEN}"
        case "phone" if len(text) >= _LEAST_FOR_LAST:
            return f"{HIDDEN}{text[-2:]}"
        case "text":
            return _first(text)
    return HIDDEN


def masked_json(value: Any) -> Any:
    """A JSON value whose keys are kept and whose other values are hidden."""
    match value:
        case Mapping():
            return {key: masked_json(inner) for key, inner in value.items()}
        case list() | tuple():
            return [masked_json(inner) for inner in value]
        case bool() | None:
            return value
    return HIDDEN


def _first(text: str) -> str:
    return f"{text[0] if len(text) >= _LEAST_FOR_FIRST else ''}{HIDDEN}"
