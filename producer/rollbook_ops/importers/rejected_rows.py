"""The rejected records of a file: all are counted, the first are kept to be shown, and a file can get all."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One problem of one record. Never holds a value of the file."""

    line: int
    """The first line of the record, or of the document that contains it."""
    field: str
    """Empty if it is the record as a whole."""
    reason: str


@dataclass
class RejectedRows:
    """Collects rejected rows.

    `path` receives all of them, as JSON objects if it ends in .jsonl, otherwise as CSV; `append` keeps its content.
    """

    path: Path | None = None
    append: bool = False
    records: int = 0
    first: list[RejectedRow] = field(default_factory=list)
    is_cut: bool = False
    """There are more than the first ones."""
    _file: TextIO | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            self._file = self.path.open("a" if self.append else "w", encoding="utf-8", newline="")
            if self.path.suffix != ".jsonl" and self._file.tell() == 0:
                csv.writer(self._file).writerow(("line", "field", "reason"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rows: list[RejectedRow], *, records: int) -> None:
        """Add the rows of `records` rejected records."""
        self.records += records
        room = MAX_SHOWN - len(self.first)
        self.first += rows[:room]
        self.is_cut |= len(rows) > room
        if self._file is not None and self.path is not None:
            if self.path.suffix == ".jsonl":
                self._file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
            else:
                csv.writer(self._file).writerows((row.line, row.field, row.reason) for row in rows)
            self._file.flush()
