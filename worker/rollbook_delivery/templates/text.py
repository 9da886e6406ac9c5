"""Values as text."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from markupsafe import escape as escape_html

from rollbook_shared.json_values import encode_json


def to_text(value: Any, *, escape: bool = False) -> str:
    """What a template prints for a value: nothing for null, objects as JSON, the items of a list one after the other.

    escape: escape HTML, except in what is `Markup`.
    """
    if isinstance(value, str):
        return str(escape_html(value)) if escape else value
    if isinstance(value, (list, tuple)):
        return "".join(to_text(item, escape=escape) for item in value)
    text = _plain(value)
    return str(escape_html(text)) if escape else text


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case range():
            return f"{value.start}..{value.stop - 1}"
        case dict():
            return to_json(value)
        case _:
            return str(value)


def to_json(value: Any) -> str:
    """The value as JSON."""
    return encode_json(value).decode()


def without_markup(value: str) -> str:
    """The text that a browser shows for `Markup` without tags; other text as it is.

    Filters that cut or change text work on this. A part of `Markup` is not safe: half a tag would swallow what follows.
    """
    return value.unescape() if isinstance(value, Markup) else value
