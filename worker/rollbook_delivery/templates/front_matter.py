"""Front matter: the lines between `---` at the head of a template.

    ---
    subject: {{ actor.name }} answered you
    layout: default
    ---

Each line is a key and the rest of the line, which is Liquid in all but the layout. It looks like YAML and is
none: in YAML a value that begins with `{{` needs quotes, which everyone forgets once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HEADINGS: Final = ("subject", "title", "action_url")
"""What is Liquid, and rendered as text: a message has one of each, whatever formats it has."""
KEYS: Final = (*HEADINGS, "layout")
_LINE: Final = re.compile(r"([a-z_]+):(.*)")
_FENCE: Final = "---"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, with the line that it is in."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a template has before its body."""

    entries: Mapping[str, Entry]
    body: str
    body_line: int
    """The line in the file of the body's first line."""


class InvalidFrontMatter(ValueError):
    """The `line` is not understood, for the `reason`."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(reason)


def parse_front_matter(text: str) -> FrontMatter:
    """Split a template's text.

    Raises:
        InvalidFrontMatter: a line is no known key with a value, or the second `---` is missing.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return FrontMatter({}, text, 1)
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == _FENCE:
            return FrontMatter(entries, "\n".join(lines[number:]), number + 1)
        if line.strip() and not line.startswith("#"):
            key, value = _entry(number, line)
            if key in entries:
                raise InvalidFrontMatter(number, f"`{key}` is there twice")
            entries[key] = Entry(value, number)
    raise InvalidFrontMatter(1, "the front matter has no second `---`")


def _entry(number: int, line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidFrontMatter(number, "a line of the front matter must be `key: value`")
    key, value = match[1], match[2].strip()
    if key not in KEYS:
        raise InvalidFrontMatter(number, f"the front matter has `{key}`, which is none of {', '.join(KEYS)}")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    if not value:
        raise InvalidFrontMatter(number, f"`{key}` has no value")
    return key, value
