"""The lines of a file, with the position where each ends, so that reading can continue there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line. A longer line cannot be a user, and in the worst case would not fit in memory."""
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A position between two records: the bytes and lines before it, and how many records of the document that begins
    there are done.
    """

    offset: int = 0
    line: int = 0
    records: int = 0


class Lines:
    """Iterates over the lines of a file and counts them. A line of more than `max_bytes` is cut, and marked as cut."""

    def __init__(self, file: BinaryIO, start: FilePosition, max_bytes: int) -> None:
        file.seek(start.offset)
        self._file = file
        self._max_bytes = max_bytes
        self.offset = start.offset
        self.number = start.line
        self.was_cut = False

    @property
    def position(self) -> FilePosition:
        """The end of the line that was read last."""
        return FilePosition(self.offset, self.number)

    def __iter__(self) -> Iterator[bytes]:
        while line := self._file.readline(self._max_bytes):
            self.offset += len(line)
            self.number += 1
            self.was_cut = False
            piece = line
            while len(piece) == self._max_bytes and not piece.endswith(b"\n"):
                self.was_cut = True
                piece = self._file.readline(self._max_bytes)
                self.offset += len(piece)
            yield line.removeprefix(_BOM) if self.number == 1 else line
