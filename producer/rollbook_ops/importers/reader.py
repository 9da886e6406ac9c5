"""Reads a file record by record, with the position where each ends, so that reading can continue there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from rollbook.formats import segment
from rollbook.formats.records import MergeRecord, RecordContent, RejectedRecord, UserRecord
from rollbook_ops.file_format import FileFormat
from rollbook_ops.importers import knock
from rollbook_ops.importers.column_names import meant_name
from rollbook_ops.importers.csv_files import read_csv, renamed_columns
from rollbook_ops.importers.documents import Document, parse_json, read_documents
from rollbook_ops.importers.encodings import check_encoding
from rollbook_ops.importers.lines import MAX_LINE, FilePosition, Lines
from rollbook_ops.importers.records import Record
from rollbook_ops.importers.rejected_columns import split_provenance
from rollbook_ops.importers.user_ids import check_ids
from rollbook_shared.errors import Problem

Convert = Callable[[object, datetime | None], Iterator[tuple[str, RecordContent]]]
"""Yields each record of a document with its path. The time is that of the records' first import."""


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
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The fields that columns of a CSV file or keys of JSON lines are, by the file's names for them."""
    strip: bool = False
    """Remove blanks at both ends of ids and attributes."""
    skip_bad_fields: bool = False
    """Send a user without its invalid fields, where leaving them out changes no preference of the user."""


def check_file(path: Path, options: ImportOptions) -> dict[str, str]:
    """Check the beginning of a file, and return the attributes that columns of another name are, by these names.

    Raises:
        NotImportable: the file is not text, or its header is missing or invalid.
    """
    with path.open("rb") as file:
        check_encoding(file)
        return renamed_columns(file, options.renamed) if options.format is FileFormat.CSV else {}


def read_records(file: BinaryIO, options: ImportOptions, start: FilePosition) -> Iterator[Record]:
    """Yield the records from `start` on.

    Raises:
        NotImportable: the file is not text, its header is missing or invalid, or a document is too large.
    """
    check_encoding(file)
    for record in _read(file, options, start):
        yield check_ids(record, strip=options.strip)


def _read(file: BinaryIO, options: ImportOptions, start: FilePosition) -> Iterator[Record]:
    match options.format:
        case FileFormat.JSONL:
            return _read_jsonl(Lines(file, start, MAX_LINE), options.renamed)
        case FileFormat.CSV:
            return read_csv(file, start, options.text_columns, options.renamed)
        case FileFormat.KNOCK:
            return _read_knock(file, start)
        case FileFormat.SEGMENT:

            def convert(value: object, first_import: datetime | None) -> Iterator[tuple[str, RecordContent]]:
                time = first_import or options.occurred_at
                return segment.convert(value, anonymous=options.anonymous, default_time=time)

            return _read_documents(read_documents(file, start), start, convert)


def _read_jsonl(lines: Lines, renamed: Mapping[str, str]) -> Iterator[Record]:
    for line in lines:
        if not line.strip():
            continue
        if lines.was_cut:
            too_long = RejectedRecord.whole(f"is longer than {MAX_LINE} bytes")
            yield Record(lines.number, lines.position, too_long)
            continue
        value, error = parse_json(line)
        if error or not isinstance(value, dict):
            rejected = RejectedRecord.whole(error or "is not a JSON object")
            yield Record(lines.number, lines.position, rejected, source=line)
            continue
        try:
            user, first_import = split_provenance(value)
        except ValueError as bad:
            yield Record(lines.number, lines.position, RejectedRecord.whole(str(bad)), source=value)
            continue
        content = _parse_user(user, renamed, first_import)
        yield Record(lines.number, lines.position, content, source=value, first_import=first_import)


def _parse_user(given: Mapping[str, Any], renamed: Mapping[str, str], first_import: datetime | None) -> RecordContent:
    user = {renamed.get(name, name): value for name, value in given.items()}
    if len(user) < len(given):
        name = next(name for name in renamed if name in given and renamed[name] in given)
        return RejectedRecord((Problem(name, f"cannot be {renamed[name]}, which the record has too"),))
    if "id" not in user and (other := _other_format(user)):
        return RejectedRecord.whole(f"looks like a record of {other.title()}; use --format {other}")
    warnings = tuple(
        f"key {name} is a property; --map {name}={known} makes it an attribute"
        for name in given
        if name not in renamed and (known := meant_name(name)) is not None and known not in user
    )
    return UserRecord(user, first_import, warnings=warnings)


def _other_format(line: Mapping[str, Any]) -> FileFormat | None:
    match line:
        case {"type": _, "userId": _} | {"type": _, "anonymousId": _} | {"batch": list()}:
            return FileFormat.SEGMENT
        case {"entries": list()} | {"users": list()} | {"user_ids": list()}:
            return FileFormat.KNOCK
        case _:
            return None


def _read_documents(documents: Iterator[Document], start: FilePosition, convert: Convert) -> Iterator[Record]:
    done = start.records
    for document in documents:
        begin = document.begin
        contents, first_import = _convert_document(document, convert)
        for number, (path, content) in enumerate(contents[done:], done + 1):
            end = document.end if number == len(contents) else replace(begin, records=number)
            if first_import is not None and isinstance(content, UserRecord | MergeRecord):
                content = replace(content, occurred_at=content.occurred_at or first_import)
            yield Record(begin.line + 1, end, content, path, document.value, first_import)
        done = 0


def _convert_document(document: Document, convert: Convert) -> tuple[list[tuple[str, RecordContent]], datetime | None]:
    if document.error:
        return [("", RejectedRecord.whole(document.error))], None
    value, first_import = document.value, None
    if isinstance(value, dict):
        try:
            value, first_import = split_provenance(value)
        except ValueError as bad:
            return [("", RejectedRecord.whole(str(bad)))], None
    return list(convert(value, first_import)), first_import


def _read_knock(file: BinaryIO, start: FilePosition) -> Iterator[Record]:
    last_page: Document | None = None
    is_complete = False

    def documents() -> Iterator[Document]:
        nonlocal last_page, is_complete
        for document in read_documents(file, start):
            if (has_next := knock.has_next_page(document.value)) is not None:
                last_page, is_complete = document, is_complete or not has_next
            yield document

    yield from _read_documents(documents(), start, lambda value, first_import: knock.convert(value))
    if last_page is not None and not is_complete:
        problem = Problem("page_info.after", "names another page, and the file does not contain the last page")
        yield Record(last_page.begin.line + 1, last_page.end, RejectedRecord((problem,)))
