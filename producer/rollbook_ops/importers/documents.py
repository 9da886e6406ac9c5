"""JSON documents, one after the other: each on a line of its own, or pretty-printed over several lines.

A document continues over line ends while one of its brackets is open. Where a line begins with a brace that no JSON
could have there, the next document begins. So a document that is cut off costs only itself, or, if it breaks off in a
list, at most also the next one.

Why not ijson (3.6, tried): its parser stops at the first error and cannot continue, its events carry neither byte
offsets nor line numbers (an import resumes at an offset and reports lines), and its error texts quote the file. It is
faster (0.8 us of processor time for a small document on one line, this module 2.7 us), which is a small part of what
checking and sending a user costs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from rollbook_ops.file_format import NotImportable
from rollbook_ops.importers.lines import FilePosition, Lines

MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a document. It is held in memory as a whole, and takes ten times as much once it is parsed."""
_NO_END: Final = "is not JSON: it does not end"
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_CLOSING: Final = {b"{": b"}", b"[": b"]"}


@dataclass(frozen=True, slots=True)
class Document:
    """One document, or the reason why it cannot be read."""

    begin: FilePosition
    end: FilePosition
    value: Any = None
    error: str = ""


def read_documents(file: BinaryIO, start: FilePosition) -> Iterator[Document]:
    """Yield the documents from `start` on.

    Raises:
        NotImportable: one is too large.
    """
    lines = Lines(file, start, MAX_DOCUMENT)
    begin = before = lines.position
    partial = _PartialDocument()
    for line in lines:
        if partial.cannot_continue_with(line):
            yield Document(begin, before, error=_NO_END)
            partial = _PartialDocument()
        if not partial.lines:
            begin = before
        before = lines.position
        if lines.was_cut or before.offset - begin.offset > MAX_DOCUMENT:
            raise NotImportable(_too_large(begin))
        if not partial.lines:
            if not line.strip():
                continue
            value, error = parse_json(line)
            if not error:  # the usual case, and cheaper than to count brackets
                yield Document(begin, before, value)
                continue
        partial.add(line)
        if not partial.is_open:
            value, error = parse_json(b"".join(partial.lines))
            yield Document(begin, before, value, error)
            partial = _PartialDocument()
    if partial.lines:
        yield Document(begin, before, error=_NO_END)


class _PartialDocument:
    """The lines of a document until it is complete, and the brackets that are open."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._open: list[bytes] = []
        self._last = b""

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def add(self, line: bytes) -> None:
        self.lines.append(line)
        bare = _STRING.sub(b'""', line).strip()
        self._last = bare[-1:] or self._last
        for bracket in _BRACKET.findall(bare):
            if bracket in _CLOSING:
                self._open.append(bracket)
            elif not self._open or _CLOSING[self._open.pop()] != bracket:
                self._open.clear()  # not JSON, whatever follows
                return

    def cannot_continue_with(self, line: bytes) -> bool:
        """Return whether the line begins another document, so that this one was cut off."""
        if not self._open or line[:1] != b"{":
            return False
        return self._open[-1] == b"{" or self._last not in (b",", b"[")


def parse_json(text: bytes) -> tuple[Any, str]:
    """Return the value of JSON text, or the reason why it is not JSON."""
    try:
        return json.loads(text.decode()), ""
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except (ValueError, RecursionError):
        return None, "is not JSON"


def _too_large(begin: FilePosition) -> str:
    size = f"{MAX_DOCUMENT // 1024 // 1024} MiB"
    return f"the document at line {begin.line + 1} is larger than {size}; write one object a line, as jq -c '.[]' does"
