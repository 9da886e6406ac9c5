"""Reads users from a CSV file: its first line names the columns, each other line is a user.

Attributes are text as they are. A property may be any JSON value: its cell is a number, `true`, `false` or `null` if it
looks exactly like one in JSON, and an object or a list if it is one; anything else is text. So `007` and `+49` stay
text, as does `1e5`, which is more often a code than a number. An empty cell does not change its column.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Container, Iterator
from typing import Any, BinaryIO, Final

from rollbook_ops.importers.documents import NotImportable
from rollbook_ops.importers.lines import MAX_LINE, FilePosition, Lines
from rollbook_ops.importers.records import Record, RecordContent, RejectedRecord, UserRecord
from rollbook_shared.domain.attributes import ATTRIBUTES

_MAX_CELL: Final = 4 * 1024 * 1024
"""Characters of a cell. Where a quote is left open, the rest of the file up to this size is one rejected record."""
_JSON_SCALAR: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false|null")
_JSON_COLUMNS: Final = frozenset({"preferences", "channel_data"})
"""Columns that hold JSON objects and are not properties."""


def read_csv(file: BinaryIO, start: FilePosition, text_columns: Container[str]) -> Iterator[Record]:
    """Yield the users from `start` on.

    Raises:
        NotImportable: the header is missing or invalid.
    """
    csv.field_size_limit(_MAX_CELL)
    lines = Lines(file, FilePosition(), MAX_LINE)
    columns = _read_header(lines)
    if start.offset:
        lines = Lines(file, start, MAX_LINE)
    rows = csv.reader(_decode(lines), strict=True)
    while True:
        first = lines.number + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(first, lines.position, RejectedRecord.whole(f"is not CSV: {error}"))
            continue
        if cells:
            yield Record(first, lines.position, _parse_row(columns, cells, text_columns))


def parse_cell(column: str, cell: str, text_columns: Container[str]) -> Any:
    """Return the value of a cell that is not empty. `text_columns` are never read as JSON."""
    if column == "id" or column in ATTRIBUTES or column in text_columns:
        return cell
    if column in _JSON_COLUMNS or _JSON_SCALAR.fullmatch(cell) or cell[0] in "{[":
        try:
            return json.loads(cell, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            return cell
    return cell


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_header(lines: Lines) -> list[str]:
    try:
        columns = [column.strip() for column in next(csv.reader(_decode(lines), strict=True))]
    except StopIteration:
        raise NotImportable("the file is empty; its first line must name the columns") from None
    except csv.Error as error:
        raise NotImportable(f"the first line is not CSV: {error}") from None
    if any(_is_undecoded(column) for column in columns):
        raise NotImportable("the first line is not UTF-8; save the file as UTF-8")
    if "id" not in columns:
        raise NotImportable(f"no column is named id; {_header_advice(columns)}")
    if repeated := next((column for column in columns if columns.count(column) > 1), None):
        raise NotImportable(f"two columns are named {repeated!r}")
    if "" in columns:
        raise NotImportable(f"column {columns.index('') + 1} has no name")
    if "updated_at" in columns:
        raise NotImportable("a column is named updated_at, which is reserved for Rollbook; remove the column")
    return columns


def _header_advice(columns: list[str]) -> str:
    """Say how to change a first line that has no column `id`."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            return f"the columns must be separated by commas, and the first line has {name}"
    if other := next((column for column in columns if column.lower() == "id"), None):
        return f"rename {other}"
    return "the first line must name the columns"


def _decode(lines: Lines) -> Iterator[str]:
    for line in lines:
        # Bytes that are not UTF-8 become lone surrogates, so that only their own record is rejected, not the file.
        yield line.decode(errors="surrogateescape")


def _is_undecoded(text: str) -> bool:
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def _parse_row(columns: list[str], cells: list[str], text_columns: Container[str]) -> RecordContent:
    if len(cells) > len(columns):
        return RejectedRecord.whole(f"has {len(cells)} cells, but there are {len(columns)} columns")
    if any(_is_undecoded(cell) for cell in cells):
        return RejectedRecord.whole("is not UTF-8")
    return UserRecord(
        {column: parse_cell(column, cell, text_columns) for column, cell in zip(columns, cells, strict=False) if cell}
    )
