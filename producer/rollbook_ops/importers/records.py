"""What a file holds, record by record, each with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rollbook.formats.records import RecordContent
from rollbook_ops.importers.lines import FilePosition


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row of a CSV file as it stands there, with the file's own names of the columns."""

    columns: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file."""

    line: int
    """Its first line, counted from 1."""
    end: FilePosition
    content: RecordContent
    path: str = ""
    """The record's path within the document that begins at this line, if that holds several records: `entries[3]`."""
    source: object = None
    """What the file holds: a `CsvRow`, the JSON value of the document, or the bytes of what is neither."""
    first_import: datetime | None = None
    """The time that the record had in the import that rejected it, if the file is one of rejected records."""
