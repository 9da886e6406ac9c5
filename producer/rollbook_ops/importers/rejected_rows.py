"""The rejected records of a file: all are counted, the first are kept to be shown, and a file can get all.

That file holds the whole records, in the format of the source, each with its line, field and reason, and the time that
it had: it can be mended and imported alone, and then overwrites nothing newer. In CSV no cell is a formula to a
spreadsheet.
"""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rollbook_ops.file_format import NotImportable
from rollbook_ops.importers.json_items import item_at
from rollbook_ops.importers.records import CsvRow, Record
from rollbook_ops.importers.rejected_columns import COLUMNS, TEXT, provenance
from rollbook_ops.importers.spreadsheet_cells import escape_cell

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One problem of one record. Never holds a value of the file."""

    line: int
    """The first line of the record, or of the document that contains it."""
    field: str
    """Empty if it is the record as a whole."""
    reason: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """All problems of one record."""

    record: Record
    rows: Sequence[RejectedRow]
    occurred_at: datetime
    """The time that the record has, or would have had."""
    is_sent: bool = False
    """The record was sent without the fields of the rows."""


@dataclass
class RejectedRows:
    """Collects rejected records.

    `path` receives all of them: as CSV if it ends in .csv, otherwise as JSON lines; `append` keeps its content. Without
    `has_times` they get no time, because none was or is sent at that time.
    """

    path: Path | None = None
    append: bool = False
    has_times: bool = True
    records: int = 0
    first: list[RejectedRow] = field(default_factory=list)
    is_cut: bool = False
    """There are more than the first ones."""
    _file: TextIO | None = None
    _has_header: bool = False

    def __enter__(self) -> Self:
        if self.path is not None:
            self._file = _open_own(self.path, append=self.append)
            self._has_header = self.append and self.path.stat().st_size > 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rejections: Sequence[Rejection]) -> None:
        """Add rejected records."""
        self.records += sum(not rejection.is_sent for rejection in rejections)
        rows = [row for rejection in rejections for row in rejection.rows]
        room = MAX_SHOWN - len(self.first)
        self.first += rows[:room]
        self.is_cut |= len(rows) > room
        if self._file is not None and self.path is not None:
            for rejection in rejections:
                if self.path.suffix == ".csv":
                    self._write_row(self._file, rejection)
                else:
                    self._file.write(json.dumps(_as_json(rejection, self._added(rejection))) + "\n")
            self._file.flush()

    def _write_row(self, file: TextIO, rejection: Rejection) -> None:
        rows = csv.writer(file)
        source = rejection.record.source
        columns, cells = (source.columns, source.cells) if isinstance(source, CsvRow) else ((), ())
        if not self._has_header:
            rows.writerow([*COLUMNS, *(escape_cell(column) for column in columns if column not in COLUMNS)])
            self._has_header = True
        added = self._added(rejection)
        own = [cell for column, cell in zip(columns, cells, strict=False) if column not in COLUMNS]
        own += [""] * (len(columns) - len(cells))
        row = [*(str(added.get(name, "")) for name in COLUMNS), *own, *cells[len(columns) :]]
        rows.writerow(map(escape_cell, row))

    def _added(self, rejection: Rejection) -> dict[str, Any]:
        names = "; ".join(row.field for row in rejection.rows)
        reasons = "; ".join(row.reason for row in rejection.rows)
        return provenance(rejection.record.line, names, reasons, rejection.occurred_at if self.has_times else None)


def check_rejected_path(path: Path, source: Path, *others: Path) -> None:
    """Check that writing `path` destroys nothing that the import needs, through any link. Opens nothing.

    Raises:
        NotImportable: it is the file that is imported, or one of `others`.
    """
    for other in (source, *others):
        if path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other)):
            raise NotImportable(f"--rejected names {other.name}, which the import needs; choose another file")


def _open_own(path: Path, *, append: bool) -> TextIO:
    """Open a file that is this account's, or create it for this account alone.

    Raises:
        NotImportable: another account has put it there, or a link.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if append else 0), 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise NotImportable(f"{path} is a link; name the file itself with --rejected") from None
    # What is no UTF-8 is written as the same bytes.
    file = os.fdopen(descriptor, "a" if append else "w", encoding="utf-8", errors="surrogateescape", newline="")
    if os.fstat(descriptor).st_uid != os.geteuid():
        file.close()
        raise NotImportable(f"{path} belongs to another account; choose another file with --rejected")
    if not append:
        file.truncate()
    return file


def _as_json(rejection: Rejection, added: dict[str, Any]) -> dict[str, Any]:
    record = rejection.record
    if isinstance(record.source, bytes):
        return {**added, TEXT: record.source.decode(errors="replace").rstrip("\r\n")}
    item = item_at(record.source, record.path)
    return {**item, **added} if isinstance(item, dict) else {**added, TEXT: json.dumps(item)}
