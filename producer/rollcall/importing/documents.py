"""JSON documents, one after the other: each on a line of its own, or laid out over several as printers do it.

A document that is not whole on its first line goes on until a line that begins with a closing bracket, which is how
pretty printers end one. So a broken document costs no other: the next one is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from rollcall.importing.lines import Lines, Place
from rollcall_shared.errors import RollcallError

MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a document: it is in memory as a whole, and takes ten times as much when it is parsed."""
_ENDLESS: Final = "is not JSON: it does not end"


class NotImportable(RollcallError):
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
    pieces: list[bytes] = []
    for line in lines:
        if pieces and _begins_another(pieces[0], line):
            yield Document(begin, before, reason=_ENDLESS)
            pieces = []
        if not pieces:
            begin = before
        before = lines.place
        if lines.was_cut or before.offset - begin.offset > MAX_DOCUMENT:
            raise NotImportable(_too_large(begin))
        if pieces or line.strip():
            pieces.append(line)
        if not pieces or (len(pieces) > 1 and line[:1] not in b"}]"):
            continue
        value, reason, is_open = parsed(b"".join(pieces))
        if len(pieces) == 1 and is_open:
            continue
        yield Document(begin, before, value, reason)
        pieces = []
    if pieces:
        yield Document(begin, before, reason=_ENDLESS)


def parsed(text: bytes) -> tuple[Any, str, bool]:
    """The value of JSON text, or why it is none; and whether that is only because it does not end."""
    try:
        return json.loads(text.decode()), "", False
    except UnicodeDecodeError:
        return None, "is not UTF-8", False
    except json.JSONDecodeError as error:
        return None, "is not JSON", text[:1] in b"{[" and error.pos >= len(error.doc.rstrip())
    except (ValueError, RecursionError):
        return None, "is not JSON", False


def _begins_another(first: bytes, line: bytes) -> bool:
    """Whether the line begins the next document, so that the open one, an object, has lost its end."""
    if first[:1] != b"{" or line[:1] != b"{":
        return False
    _, reason, is_open = parsed(line)
    return is_open or not reason


def _too_large(begin: Place) -> str:
    size = f"{MAX_DOCUMENT // 1024 // 1024} MiB"
    return f"what begins at line {begin.line + 1} is larger than {size}; write one object a line, as jq -c '.[]' does"
