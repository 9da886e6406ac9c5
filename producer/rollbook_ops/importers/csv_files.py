"""Read users from a CSV file: its first line names the columns, each other one is a user."""

from __future__ import annotations

import csv
from collections.abc import Container, Iterator
from typing import BinaryIO, Final

from rollbook_ops.importers.cells import cell_value
from rollbook_ops.importers.contents import Content, Record, Rejected, Told
from rollbook_ops.importers.documents import NotImportable
from rollbook_ops.importers.lines import MAX_LINE, Lines, Place

_MAX_CELL: Final = 4 * 1024 * 1024
"""Characters of a cell: where a quote is left open, the rest of the file up to here is one rejected record."""


def read_csv(file: BinaryIO, start: Place, text_columns: Container[str]) -> Iterator[Record]:
    """The users from `start` on.

    Raises:
        NotImportable: the header is missing or makes no sense.
    """
    csv.field_size_limit(_MAX_CELL)
    lines = Lines(file, Place(), MAX_LINE)
    columns = _header(lines)
    if start.offset:
        lines = Lines(file, start, MAX_LINE)
    rows = csv.reader(_decoded(lines), strict=True)
    while True:
        first = lines.number + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(first, lines.place, Rejected.whole(f"is not CSV: {error}"))
            continue
        if cells:
            yield Record(first, lines.place, _row(columns, cells, text_columns))


def _header(lines: Lines) -> list[str]:
    try:
        columns = [column.strip() for column in next(csv.reader(_decoded(lines), strict=True))]
    except StopIteration:
        raise NotImportable("the file is empty; its first line must name the columns") from None
    except csv.Error as error:
        raise NotImportable(f"the first line is not CSV: {error}") from None
    if any("\udc80" <= character <= "\udcff" for column in columns for character in column):
        raise NotImportable("the first line is not UTF-8; save the file as UTF-8")
    if "id" not in columns:
        raise NotImportable(f"no column is named id; {_what_instead(columns)}")
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise NotImportable(f"two columns are named {twice!r}")
    if "" in columns:
        raise NotImportable(f"column {columns.index('') + 1} has no name")
    if "updated_at" in columns:
        raise NotImportable("a column is named updated_at, which is Rollbook's own; leave it out")
    return columns


def _what_instead(columns: list[str]) -> str:
    """What the first line has in place of a column `id`."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            return f"the columns must be separated by commas, and the first line has {name}"
    if other := next((column for column in columns if column.lower() == "id"), None):
        return f"rename {other}"
    return "the first line must name the columns"


def _decoded(lines: Lines) -> Iterator[str]:
    for line in lines:
        # Half surrogates mark what is not UTF-8: it is rejected with its own record, not with the file.
        yield line.decode(errors="surrogateescape")


def _row(columns: list[str], cells: list[str], text_columns: Container[str]) -> Content:
    if len(cells) > len(columns):
        return Rejected.whole(f"has {len(cells)} cells, but there are {len(columns)} columns")
    if any("\udc80" <= character <= "\udcff" for cell in cells if not cell.isascii() for character in cell):
        return Rejected.whole("is not UTF-8")
    return Told(
        {column: cell_value(column, cell, text_columns) for column, cell in zip(columns, cells, strict=False) if cell}
    )
