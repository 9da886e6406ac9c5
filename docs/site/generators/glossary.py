"""The words of the glossary: an anchor for each, and links to them from where a page first uses one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final

_ROW: Final = re.compile(r"^\| \*\*(.+?)\*\*(.*?) \| (.*?) \|", re.MULTILINE)
_COMMON: Final = frozenset(
    {
        "rollbook",
        "attributes",
        "user",
        "client",
        "job",
        "message",
        "channel",
        "settings",
        "trigger",
        "claim",
        "delivery",
    }
)
"""Words that a page needs no link for: readers know them, and they are everywhere."""
_UNLINKED: Final = frozenset({"a", "code", "pre", "h1", "h2", "h3", "h4", "summary", "script", "style", "th"})


def with_anchors(markdown: str) -> str:
    """The glossary, where each word can be linked to."""
    return _ROW.sub(lambda row: row[0].replace(f"**{row[1]}**", f"**{row[1]}**{{ #{anchor(row[1])} }}", 1), markdown)


def words(markdown: str) -> Mapping[str, str]:
    """Each word, and what it means."""
    return {row[1]: row[3] for row in _ROW.finditer(markdown)}


def anchor(word: str) -> str:
    """The anchor of a word in the glossary's page."""
    return re.sub(r"\W+", "-", word.lower()).strip("-")


def linked(html: str, page: str, markdown: str) -> str:
    """The page's HTML, the first mention of each word in running text linked to the glossary at `page`."""
    targets = {word.lower(): f"{page}#{anchor(word)}" for word in words(markdown) if word.lower() not in _COMMON}
    linker = _Linker(targets)
    linker.feed(html)
    linker.close()
    return "".join(linker.parts)


class _Linker(HTMLParser):
    """Passes HTML through; only text outside of links, code and headings is changed."""

    def __init__(self, targets: dict[str, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._targets = targets
        self._within = 0
        longest_first = sorted(map(re.escape, targets), key=len, reverse=True)
        self._word = re.compile(rf"\b({'|'.join(longest_first)})s?\b", re.IGNORECASE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within += tag in _UNLINKED
        self.parts.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self._within -= tag in _UNLINKED
        self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(data if self._within else self._word.sub(self._link, data))

    def handle_entityref(self, name: str) -> None:
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.parts.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.parts.append(f"<!--{data}-->")

    def _link(self, found: re.Match[str]) -> str:
        target = self._targets.pop(found[1].lower(), None)
        return found[0] if target is None else f'<a class="term" href="{target}">{found[0]}</a>'
