"""Reads a file record by record, with the position where each ends, so that reading can continue there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rollbook_ops.importers import knock, segment
from rollbook_ops.importers.csv_files import read_csv
from rollbook_ops.importers.documents import Document, NotImportable, parse_json, read_documents
from rollbook_ops.importers.lines import MAX_LINE, FilePosition, Lines
from rollbook_ops.importers.records import Record, RecordContent, RejectedRecord, UserRecord
from rollbook_shared.errors import Problem


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


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to read a file."""

    format: FileFormat
    text_columns: tuple[str, ...] = ()
    """Columns of a CSV file that are text whatever they look like."""
    anonymous: bool = False
    """Import Segment's visitors without a `userId` as users."""
    occurred_at: datetime | None = None
    """The time of records that have none of their own; by default the start of the import."""


def read_records(file: BinaryIO, options: ImportOptions, start: FilePosition) -> Iterator[Record]:
    """Yield the records from `start` on.

    Raises:
        NotImportable: the header is missing or invalid, or a document is too large.
    """
    match options.format:
        case FileFormat.JSONL:
            return _read_jsonl(Lines(file, start, MAX_LINE))
        case FileFormat.CSV:
            return read_csv(file, start, options.text_columns)
        case FileFormat.KNOCK:
            return _read_knock(file, start)
        case FileFormat.SEGMENT:
            convert = partial(segment.convert, anonymous=options.anonymous, default_time=options.occurred_at)
            return _read_documents(read_documents(file, start), start, convert)


def _read_jsonl(lines: Lines) -> Iterator[Record]:
    for line in lines:
        if line.strip():
            too_long = RejectedRecord.whole(f"is longer than {MAX_LINE} bytes")
            yield Record(lines.number, lines.position, too_long if lines.was_cut else _parse_user(line))


def _parse_user(line: bytes) -> RecordContent:
    user, error = parse_json(line)
    if error:
        return RejectedRecord.whole(error)
    if not isinstance(user, dict):
        return RejectedRecord.whole("is not a JSON object")
    if "id" not in user and (other := _other_format(user)):
        return RejectedRecord.whole(f"looks like a record of {other.title()}; use --format {other}")
    return UserRecord(user)


def _other_format(line: Mapping[str, Any]) -> FileFormat | None:
    match line:
        case {"type": _, "userId": _} | {"type": _, "anonymousId": _} | {"batch": list()}:
            return FileFormat.SEGMENT
        case {"entries": list()} | {"users": list()} | {"user_ids": list()}:
            return FileFormat.KNOCK
        case _:
            return None


def _read_documents(
    documents: Iterator[Document],
    start: FilePosition,
    convert: Callable[[object], Iterator[tuple[str, RecordContent]]],
) -> Iterator[Record]:
    done = start.records
    for document in documents:
        begin = document.begin
        contents = [("", RejectedRecord.whole(document.error))] if document.error else list(convert(document.value))
        for number, (path, content) in enumerate(contents[done:], done + 1):
            end = document.end if number == len(contents) else replace(begin, records=number)
            yield Record(begin.line + 1, end, content, path)
        done = 0


def _read_knock(file: BinaryIO, start: FilePosition) -> Iterator[Record]:
    last_page: Document | None = None
    is_complete = False

    def documents() -> Iterator[Document]:
        nonlocal last_page, is_complete
        for document in read_documents(file, start):
            if (has_next := knock.has_next_page(document.value)) is not None:
                last_page, is_complete = document, is_complete or not has_next
            yield document

    yield from _read_documents(documents(), start, knock.convert)
    if last_page is not None and not is_complete:
        problem = Problem("page_info.after", "names another page, and the file does not contain the last page")
        yield Record(last_page.begin.line + 1, last_page.end, RejectedRecord((problem,)))
