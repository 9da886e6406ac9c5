"""JSON documents, one after the other: each on a line of its own, or laid out over several as printers do it.

A document goes on over the ends of lines while a bracket of it is open. Where a line begins with a brace and no JSON
could have one, the next document begins: so one that has lost its end costs itself, or if it broke off in a list at
most the next one, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from rollbook_ops.importers.lines import Lines, Place
from rollbook_shared.errors import RollbookError

MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a document: it is in memory as a whole, and takes ten times as much when it is parsed."""
_ENDLESS: Final = "is not JSON: it does not end"
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_CLOSES: Final = {b"{": b"}", b"[": b"]"}


class NotImportable(RollbookError):
    """The file cannot be imported at all; the message says why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document, or why there is none."""

    begin: Place
    end: Place
    value: Any = None
    reason: str = ""


def read_documents(file: BinaryIO, start: Place) -> Iterator[Document]:
    """The documents from `start` on; of one that is not whole on a line, what is open is not told before its end.

    Raises:
        NotImportable: one is too large.
    """
    lines = Lines(file, start, MAX_DOCUMENT)
    begin = before = lines.place
    pieces = _Pieces()
    for line in lines:
        if pieces.cannot_go_on_with(line):
            yield Document(begin, before, reason=_ENDLESS)
            pieces = _Pieces()
        if not pieces.lines:
            begin = before
        before = lines.place
        if lines.was_cut or before.offset - begin.offset > MAX_DOCUMENT:
            raise NotImportable(_too_large(begin))
        if not pieces.lines:
            if not line.strip():
                continue
            value, reason = parsed(line)
            if not reason:  # nearly always, and for less than the brackets cost
                yield Document(begin, before, value)
                continue
        pieces.add(line)
        if not pieces.are_open:
            value, reason = parsed(b"".join(pieces.lines))
            yield Document(begin, before, value, reason)
            pieces = _Pieces()
    if pieces.lines:
        yield Document(begin, before, reason=_ENDLESS)


class _Pieces:
    """The lines of a document until it is whole, with the brackets that are open."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._open: list[bytes] = []
        self._last = b""

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    def add(self, line: bytes) -> None:
        self.lines.append(line)
        bare = _STRING.sub(b'""', line).strip()
        self._last = bare[-1:] or self._last
        for bracket in _BRACKET.findall(bare):
            if bracket in _CLOSES:
                self._open.append(bracket)
            elif not self._open or _CLOSES[self._open.pop()] != bracket:
                self._open.clear()  # broken: no JSON, whatever follows
                return

    def cannot_go_on_with(self, line: bytes) -> bool:
        """Whether the line begins another document, so that this one has lost its end."""
        if not self._open or line[:1] != b"{":
            return False
        return self._open[-1] == b"{" or self._last not in (b",", b"[")


def parsed(text: bytes) -> tuple[Any, str]:
    """The value of JSON text, or why it is none."""
    try:
        return json.loads(text.decode()), ""
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except (ValueError, RecursionError):
        return None, "is not JSON"


def _too_large(begin: Place) -> str:
    size = f"{MAX_DOCUMENT // 1024 // 1024} MiB"
    return f"what begins at line {begin.line + 1} is larger than {size}; write one object a line, as jq -c '.[]' does"
