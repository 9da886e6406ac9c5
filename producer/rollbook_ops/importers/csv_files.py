"""Reads users from a CSV file: its first line names the columns, each other line is a user.

Attributes are text as they are. A property may be any JSON value: its cell is a number, `true`, `false` or `null` if it
looks exactly like one in JSON, and an object or a list if it is one; anything else is text. So `007` and `+49` stay
text, as does `1e5`, which is more often a code than a number. An empty cell does not change its column.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

from rollbook.formats.records import RecordContent, RejectedRecord, UserRecord
from rollbook_ops.file_format import NotImportable
from rollbook_ops.importers.column_names import rename_columns
from rollbook_ops.importers.lines import MAX_LINE, FilePosition, Lines
from rollbook_ops.importers.records import CsvRow, Record
from rollbook_ops.importers.rejected_columns import COLUMNS, LINE, OCCURRED_AT, parse_first_import
from rollbook_ops.importers.spreadsheet_cells import unescape_cell
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.errors import Problem

_MAX_CELL: Final = 4 * 1024 * 1024
"""Characters of a cell. Where a quote is left open, the rest of the file up to this size is one rejected record."""
_JSON_SCALAR: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false|null")
_JSON_COLUMNS: Final = frozenset({"preferences", "channel_data"})
"""Columns that hold JSON objects and are not properties."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a file: the names of its columns, and the fields that they are."""

    columns: tuple[str, ...]
    names: tuple[str, ...]
    is_escaped: bool
    """The file is one of rejected rows, whose cells are escaped."""

    @property
    def width(self) -> int:
        """How many columns have a name; commas at the end of the line make columns without one."""
        return len(self.columns)


def read_csv(
    file: BinaryIO, start: FilePosition, text_columns: Container[str], renamed: Mapping[str, str]
) -> Iterator[Record]:
    """Yield the users from `start` on. Rows without a value are no records.

    renamed: the fields that columns are, by the names of the columns.

    Raises:
        NotImportable: the header is missing or invalid.
    """
    csv.field_size_limit(_MAX_CELL)
    lines = Lines(file, FilePosition(), MAX_LINE)
    header = _read_header(lines, renamed)
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
        while len(cells) > header.width and not cells[-1].strip():
            cells.pop()
        if header.is_escaped:
            cells = [unescape_cell(cell) for cell in cells]
        if any(cell and not cell.isspace() for cell in cells):
            content, first_import = _parse_row(header, cells, text_columns)
            source = CsvRow(header.columns, tuple(cells))
            yield Record(first, lines.position, content, source=source, first_import=first_import)


def renamed_columns(file: BinaryIO, renamed: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that are read from columns of another name, by these names.

    Raises:
        NotImportable: the header is missing or invalid.
    """
    csv.field_size_limit(_MAX_CELL)
    header = _read_header(Lines(file, FilePosition(), MAX_LINE), renamed)
    return {column: name for column, name in zip(header.columns, header.names, strict=True) if column != name}


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


def _read_header(lines: Lines, renamed: Mapping[str, str]) -> Header:
    try:
        columns = [column.strip() for column in next(csv.reader(_decode(lines), strict=True))]
    except StopIteration:
        raise NotImportable("the file is empty; its first line must name the columns") from None
    except csv.Error as error:
        raise NotImportable(f"the first line is not CSV: {error}") from None
    if any(_is_undecoded(column) for column in columns):
        raise NotImportable("the first line is not UTF-8; save the file as UTF-8")
    while columns and not columns[-1]:  # commas at the end of the line
        columns.pop()
    if is_escaped := LINE in columns:
        columns = [unescape_cell(column) for column in columns]
    names = rename_columns(columns, renamed)
    if "id" not in names:
        raise NotImportable(f"no column is named id; {_header_advice(columns)}")
    if "" in columns:
        raise NotImportable(f"column {columns.index('') + 1} has no name")
    if "updated_at" in names:
        raise NotImportable("a column is named updated_at, which is reserved for Rollbook; remove the column")
    return Header(tuple(columns), tuple(names), is_escaped)


def _header_advice(columns: list[str]) -> str:
    """Say how to change a first line that has no column `id`."""
    if columns and columns[0].startswith("sep="):  # Excel's own
        return f"remove the first line, {columns[0]}"
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            return f"the columns must be separated by commas, and the first line has {name}"
    return "name the column that has the ids with --map COLUMN=id"


def _decode(lines: Lines) -> Iterator[str]:
    for line in lines:
        # Bytes that are not UTF-8 become lone surrogates, so that only their own record is rejected, not the file.
        yield line.decode(errors="surrogateescape")


def _is_undecoded(text: str) -> bool:
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def _parse_row(header: Header, cells: list[str], text_columns: Container[str]) -> tuple[RecordContent, datetime | None]:
    if len(cells) > header.width:
        return RejectedRecord.whole(f"has {len(cells)} cells, but there are {header.width} columns"), None
    if any(_is_undecoded(cell) for cell in cells):
        return RejectedRecord.whole("is not UTF-8"), None
    user: dict[str, Any] = {}
    first_import = None
    for column, name, cell in zip(header.columns, header.names, cells, strict=False):
        if not cell:
            continue
        if column == OCCURRED_AT:
            if (first_import := parse_first_import(cell)) is None:
                return RejectedRecord((Problem(OCCURRED_AT, "must be a time"),)), None
        elif column not in COLUMNS:
            user[name] = cell if column in text_columns else parse_cell(name, cell, text_columns)
    return UserRecord(user, first_import), first_import
