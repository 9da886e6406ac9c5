"""What of a file was rejected: all counted, the first ones kept to show, all written where a file is wanted."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

SHOWN = 20


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One thing that is wrong with one record. Never holds a value of the file."""

    line: int
    """The first line of the record, or of the document that it is in."""
    field: str
    """Empty: the record as a whole."""
    reason: str


@dataclass
class RejectedRows:
    """Gather refusals.

    `path` gets them all, as JSON objects if it ends in .jsonl, else as CSV; `append` keeps what it holds.
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

    def add(self, rejected_rows: list[RejectedRow], *, records: int) -> None:
        """Take the refusals of some records."""
        self.records += records
        room = SHOWN - len(self.first)
        self.first += rejected_rows[:room]
        self.is_cut |= len(rejected_rows) > room
        if self._file is not None and self.path is not None:
            if self.path.suffix == ".jsonl":
                self._file.writelines(json.dumps(asdict(refusal)) + "\n" for refusal in rejected_rows)
            else:
                csv.writer(self._file).writerows(
                    (refusal.line, refusal.field, refusal.reason) for refusal in rejected_rows
                )
            self._file.flush()
