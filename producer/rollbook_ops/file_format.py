"""The formats of files with users. Needs nothing of the importers: the command line names it in its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from rollbook_shared.errors import RollbookError


class NotImportable(RollbookError):
    """The file cannot be imported at all; the message says why."""


class FileFormat(StrEnum):
    """The format in which a file holds users."""

    CSV = "csv"
    JSONL = "jsonl"
    KNOCK = "knock"
    SEGMENT = "segment"

    @classmethod
    def of(cls, path: Path) -> FileFormat:
        """Return the format that the file's name ends in."""
        match path.suffix.lower():
            case ".csv":
                return cls.CSV
            case ".jsonl" | ".ndjson":
                return cls.JSONL
            case _:
                raise NotImportable(f"{path.name} ends in neither .csv nor .jsonl; name its format with --format")
