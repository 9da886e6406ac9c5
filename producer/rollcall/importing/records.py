"""Read users from a CSV or JSONL file one at a time, with the place where each ends, to go on from there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from rollcall.importing.cells import cell_value
from rollcall_shared.errors import RollcallError

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line; what is longer is no user, and would not fit in memory in the worst case."""
_MAX_CELL: Final = 4 * 1024 * 1024
"""Characters of a cell: where a quote is left open, the rest of the file up to here is one refused record."""
_BOM: Final = b"\xef\xbb\xbf"


class NotImportable(RollcallError):
    """The file cannot be imported at all; the message says why."""


class Format(StrEnum):
    """How a file holds users."""

    CSV = "csv"
    JSONL = "jsonl"

    @classmethod
    def of(cls, path: Path) -> Format:
        """The format that a file's name tells."""
        match path.suffix.lower():
            case ".csv":
                return cls.CSV
            case ".jsonl" | ".ndjson":
                return cls.JSONL
            case _:
                raise NotImportable(f"{path.name} ends in neither .csv nor .jsonl; say which it is with --format")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read a file."""

    format: Format
    text_columns: tuple[str, ...] = ()
    """Columns of a CSV file that are text whatever they look like."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two records: bytes and lines before it."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One user of the file, or why it is none."""

    line: int
    """The first line of it, counted from 1."""
    end: Place
    user: dict[str, Any] | None = None
    reason: str = ""


def read_records(file: BinaryIO, options: Options, start: Place) -> Iterator[Record]:
    """The records from `start` on.

    Raises:
        NotImportable: the header is missing or makes no sense.
    """
    match options.format:
        case Format.JSONL:
            return _read_jsonl(_Lines(file, start))
        case Format.CSV:
            return _read_csv(file, options, start)


class _Lines:
    """The lines of a file, counting; a line that is too long is cut, and marked so."""

    def __init__(self, file: BinaryIO, start: Place) -> None:
        file.seek(start.offset)
        self._file = file
        self.offset = start.offset
        self.number = start.line
        self.was_cut = False

    @property
    def place(self) -> Place:
        return Place(self.offset, self.number)

    def __iter__(self) -> Iterator[bytes]:
        while line := self._file.readline(MAX_LINE):
            self.offset += len(line)
            self.number += 1
            self.was_cut = False
            piece = line
            while len(piece) == MAX_LINE and not piece.endswith(b"\n"):
                self.was_cut = True
                piece = self._file.readline(MAX_LINE)
                self.offset += len(piece)
            yield line.removeprefix(_BOM) if self.number == 1 else line


def _read_jsonl(lines: _Lines) -> Iterator[Record]:
    for line in lines:
        if not line.strip():
            continue
        user, reason = _object(line) if not lines.was_cut else (None, f"is longer than {MAX_LINE} bytes")
        yield Record(lines.number, lines.place, user, reason)


def _object(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        user = json.loads(line.decode())
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except (ValueError, RecursionError):
        return None, "is not JSON"
    return (user, "") if isinstance(user, dict) else (None, "is not a JSON object")


def _read_csv(file: BinaryIO, options: Options, start: Place) -> Iterator[Record]:
    csv.field_size_limit(_MAX_CELL)
    lines = _Lines(file, Place())
    columns = _header(lines)
    if start.offset:
        lines = _Lines(file, start)
    rows = csv.reader(_decoded(lines), strict=True)
    while True:
        first = lines.number + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(first, lines.place, reason=f"is not CSV: {error}")
            continue
        if cells:
            user, reason = _row(columns, cells, options)
            yield Record(first, lines.place, user, reason)


def _header(lines: _Lines) -> list[str]:
    try:
        columns = [column.strip() for column in next(csv.reader(_decoded(lines), strict=True))]
    except StopIteration:
        raise NotImportable("the file is empty; its first line must name the columns") from None
    except csv.Error as error:
        raise NotImportable(f"the first line is not CSV: {error}") from None
    if "id" not in columns:
        raise NotImportable("no column is named id; the first line must name the columns")
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise NotImportable(f"two columns are named {twice!r}")
    if "" in columns:
        raise NotImportable(f"column {columns.index('') + 1} has no name")
    if "updated_at" in columns:
        raise NotImportable("a column is named updated_at, which is Rollcall's own; leave it out")
    return columns


def _decoded(lines: _Lines) -> Iterator[str]:
    for line in lines:
        # Half surrogates mark what is not UTF-8: it is refused with its own record, not with the file.
        yield line.decode(errors="surrogateescape")


def _row(columns: list[str], cells: list[str], options: Options) -> tuple[dict[str, Any] | None, str]:
    if len(cells) > len(columns):
        return None, f"has {len(cells)} cells, but there are {len(columns)} columns"
    if any("\udc80" <= character <= "\udcff" for cell in cells if not cell.isascii() for character in cell):
        return None, "is not UTF-8"
    return {
        column: cell_value(column, cell, options.text_columns)
        for column, cell in zip(columns, cells, strict=False)
        if cell
    }, ""
