"""Filters of text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from liquid.undefined import Undefined
from markupsafe import Markup
from markupsafe import escape as escape_html

from rollbook_delivery.templates.filters.filter import Filter, plain_text, simple
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.text import to_json, to_text

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")


def append(value: str, end: object) -> str:
    """In HTML, a text that is `Markup` stays so, and the other is escaped."""
    return value + to_text(end)


def prepend(value: str, start: object) -> str:
    """As `append`."""
    return to_text(start) + value


def replace(state: RenderState, escape: bool, value: str, old: object, new: object = "") -> str:
    """Every occurrence. The length of the result is computed before: it may be the product of the lengths."""
    old, new = to_text(old), to_text(new)
    if len(value) + value.count(old) * (len(new) - len(old)) > state.bounds.characters:
        raise FilterProblem("the filter `replace` gives too large a value")
    return value.replace(old, new)


def replace_first(value: str, old: object, new: object = "") -> str:
    """The first occurrence."""
    return value.replace(to_text(old), to_text(new), 1)


def replace_last(value: str, old: object, new: object = "") -> str:
    """The last occurrence."""
    head, found, tail = value.rpartition(to_text(old))
    return head + to_text(new) + tail if found else value


def remove(value: str, old: object) -> str:
    """Every occurrence."""
    return value.replace(to_text(old), "")


def remove_first(value: str, old: object) -> str:
    """The first occurrence."""
    return replace_first(value, old)


def remove_last(value: str, old: object) -> str:
    """The last occurrence."""
    return replace_last(value, old)


def slice_text(value: object, start: int, length: int = 1) -> object:
    """Of a text its characters, of a list its items."""
    if not isinstance(value, (list, tuple)):
        value = to_text(value)
    start, length = int(start), max(int(length), 0)
    first = max(start + len(value), 0) if start < 0 else start
    return value[first : first + length]


def split(value: str, separator: object) -> list[str]:
    """A list of the parts; of the characters if the separator is empty."""
    by = to_text(separator)
    return list(value) if not by else value.split() if by == " " else value.split(by)


def squish(value: str) -> str:
    """Without blanks at the ends, and with one blank for several."""
    return " ".join(value.split())


def strip_html(value: str) -> str:
    """Without what is between `<` and `>`. Python's parsers of HTML take quadratic time for some texts."""
    parts: list[str] = []
    at = 0
    while (start := value.find("<", at)) >= 0 and (end := value.find(">", start)) >= 0:
        parts.append(value[at:start])
        at = end + 1
    return "".join((*parts, value[at:]))


def strip_newlines(value: str) -> str:
    """Without line breaks."""
    return _LINE_BREAK.sub("", value)


def truncate(value: str, length: int = 50, end: object = "...") -> str:
    """At most so many characters, the end of a shortened text included."""
    length, mark = int(length), to_text(end)
    return value if len(value) <= length else value[: max(length - len(mark), 0)] + mark


def truncatewords(value: str, words: int = 15, end: object = "...") -> str:
    """At most so many words."""
    most = max(int(words), 1)
    found = value.split(None, most)
    return value if len(found) <= most else " ".join(found[:most]) + to_text(end)


def url_encode(value: str) -> str:
    """For a part of a URL's query."""
    return quote_plus(value)


def url_decode(value: str) -> str:
    """The opposite."""
    return unquote_plus(value)


def _escape(state: RenderState, escape: bool, value: str) -> str:
    return escape_html(value) if escape else str(escape_html(str(value)))


def _escape_once(state: RenderState, escape: bool, value: str) -> str:
    return _escape(state, escape, html.unescape(value))


def _newline_to_br(state: RenderState, escape: bool, value: str) -> str:
    broken = _LINE_BREAK.sub("<br>\n", str(escape_html(value)) if escape else value)
    return Markup(broken) if escape else broken


def _safe(state: RenderState, escape: bool, value: str) -> str:
    return Markup(value) if escape else value


def _default(
    state: RenderState, escape: bool, value: object, default: object = "", allow_false: bool = False
) -> object:
    if isinstance(value, Undefined) or value is None or (value is False and not allow_false):
        return default
    return default if isinstance(value, (str, list, dict)) and not value else value


TEXT_FILTERS: Final[Mapping[str, Filter]] = {
    "append": simple(append, 'append: ".png"', "adds text at the end", takes_text=True),
    "prepend": simple(prepend, 'prepend: "https://"', "adds text at the start", takes_text=True),
    "capitalize": plain_text(str.capitalize, "capitalize", "the first character upper case, the others lower case"),
    "downcase": plain_text(str.lower, "downcase", "lower case"),
    "upcase": plain_text(str.upper, "upcase", "upper case"),
    "default": Filter(
        _default,
        'default: "there"',
        "another value for what is missing, null, false or empty; with `allow_false: true` not for false",
        takes_missing=True,
    ),
    "escape": Filter(_escape, "escape", "escapes HTML; HTML templates do so anyway", takes_text=True),
    "escape_once": Filter(
        _escape_once, "escape_once", "escapes HTML that may be escaped already", takes_text=True, plain=True
    ),
    "json": simple(to_json, "json", "the value as JSON"),
    "newline_to_br": Filter(_newline_to_br, "newline_to_br", "`<br>` before each line break", takes_text=True),
    "remove": plain_text(remove, 'remove: "x"', "without each occurrence"),
    "remove_first": plain_text(remove_first, 'remove_first: "x"', "without the first occurrence"),
    "remove_last": plain_text(remove_last, 'remove_last: "x"', "without the last occurrence"),
    "replace": Filter(
        replace, 'replace: "old", "new"', "another text for each occurrence", takes_text=True, plain=True
    ),
    "replace_first": plain_text(replace_first, 'replace_first: "old", "new"', "another text for the first occurrence"),
    "replace_last": plain_text(replace_last, 'replace_last: "old", "new"', "another text for the last occurrence"),
    "safe": Filter(
        _safe,
        "safe",
        "prints the value as it is in HTML templates: only for HTML that your own code has made safe",
        takes_text=True,
    ),
    "slice": simple(slice_text, "slice: 0, 3", "a part of a text or of a list: from where, how much", plain=True),
    "split": plain_text(split, 'split: ","', "a list of the parts between the separators"),
    "squish": plain_text(squish, "squish", "one blank for several, none at the ends"),
    "strip": plain_text(str.strip, "strip", "without blanks and line breaks at the ends"),
    "lstrip": plain_text(str.lstrip, "lstrip", "without those at the start"),
    "rstrip": plain_text(str.rstrip, "rstrip", "without those at the end"),
    "strip_html": plain_text(strip_html, "strip_html", "without tags"),
    "strip_newlines": plain_text(strip_newlines, "strip_newlines", "without line breaks"),
    "truncate": plain_text(truncate, 'truncate: 50, "..."', "at most so many characters"),
    "truncatewords": plain_text(truncatewords, 'truncatewords: 15, "..."', "at most so many words"),
    "url_encode": plain_text(url_encode, "url_encode", "for a part of a URL's query"),
    "url_decode": plain_text(url_decode, "url_decode", "the opposite"),
}
