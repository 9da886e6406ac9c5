"""The lines of a file, with the place where each ends, to go on from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line; what is longer is no user, and would not fit in memory in the worst case."""
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two records: bytes and lines before it, and records of the document that begins there."""

    offset: int = 0
    line: int = 0
    records: int = 0


class Lines:
    """The lines of a file, counting; a line that is longer than `most` bytes is cut, and marked so."""

    def __init__(self, file: BinaryIO, start: Place, most: int) -> None:
        file.seek(start.offset)
        self._file = file
        self._most = most
        self.offset = start.offset
        self.number = start.line
        self.was_cut = False

    @property
    def place(self) -> Place:
        """The end of the line that was read last."""
        return Place(self.offset, self.number)

    def __iter__(self) -> Iterator[bytes]:
        while line := self._file.readline(self._most):
            self.offset += len(line)
            self.number += 1
            self.was_cut = False
            piece = line
            while len(piece) == self._most and not piece.endswith(b"\n"):
                self.was_cut = True
                piece = self._file.readline(self._most)
                self.offset += len(piece)
            yield line.removeprefix(_BOM) if self.number == 1 else line
