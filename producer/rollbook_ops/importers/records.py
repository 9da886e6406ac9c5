"""Read a file record by record, with the place where each ends, to go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rollbook_ops.importers import knock, segment
from rollbook_ops.importers.contents import Content, Record, Rejected, Told
from rollbook_ops.importers.csv_files import read_csv
from rollbook_ops.importers.documents import Document, NotImportable, parsed, read_documents
from rollbook_ops.importers.lines import MAX_LINE, Lines, Place
from rollbook_shared.errors import Problem


class Format(StrEnum):
    """How a file holds users."""

    CSV = "csv"
    JSONL = "jsonl"
    KNOCK = "knock"
    SEGMENT = "segment"

    @classmethod
    def of(cls, path: Path) -> Format:
        """The format that a file's name tells."""
        match path.suffix.lower():
            case ".csv":
                return cls.CSV
            case ".jsonl" | ".ndjson":
                return cls.JSONL
            case _:
                raise NotImportable(f"{path.name} ends in neither .csv nor .jsonl; say what it holds with --format")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read a file."""

    format: Format
    text_columns: tuple[str, ...] = ()
    """Columns of a CSV file that are text whatever they look like."""
    anonymous: bool = False
    """Segment's visitors without a `userId` are users."""
    occurred_at: datetime | None = None
    """When what the file tells was so, where a record does not say; by default when its import was started."""


def read_records(file: BinaryIO, options: Options, start: Place) -> Iterator[Record]:
    """The records from `start` on.

    Raises:
        NotImportable: a header is missing or makes no sense, or what cannot be cut is too large.
    """
    match options.format:
        case Format.JSONL:
            return _read_jsonl(Lines(file, start, MAX_LINE))
        case Format.CSV:
            return read_csv(file, start, options.text_columns)
        case Format.KNOCK:
            return _read_knock(file, start)
        case Format.SEGMENT:
            read = partial(segment.contents, anonymous=options.anonymous, otherwise_at=options.occurred_at)
            return _read_documents(read_documents(file, start), start, read)


def _read_jsonl(lines: Lines) -> Iterator[Record]:
    for line in lines:
        if line.strip():
            content = _user(line) if not lines.was_cut else Rejected.whole(f"is longer than {MAX_LINE} bytes")
            yield Record(lines.number, lines.place, content)


def _user(line: bytes) -> Content:
    user, reason = parsed(line)
    if reason:
        return Rejected.whole(reason)
    if not isinstance(user, dict):
        return Rejected.whole("is not a JSON object")
    if "id" not in user and (other := _other_format(user)):
        return Rejected.whole(f"looks like what {other.title()} sends; say so with --format {other}")
    return Told(user)


def _other_format(line: Mapping[str, Any]) -> Format | None:
    match line:
        case {"type": _, "userId": _} | {"type": _, "anonymousId": _} | {"batch": list()}:
            return Format.SEGMENT
        case {"entries": list()} | {"users": list()} | {"user_ids": list()}:
            return Format.KNOCK
        case _:
            return None


def _read_documents(
    documents: Iterator[Document], start: Place, contents: Callable[[object], Iterator[tuple[str, Content]]]
) -> Iterator[Record]:
    done = start.records
    for document in documents:
        begin = document.begin
        found = [("", Rejected.whole(document.reason))] if document.reason else list(contents(document.value))
        for number, (within, content) in enumerate(found[done:], done + 1):
            end = document.end if number == len(found) else replace(begin, records=number)
            yield Record(begin.line + 1, end, content, within)
        done = 0


def _read_knock(file: BinaryIO, start: Place) -> Iterator[Record]:
    last: Document | None = None
    is_whole = False

    def documents() -> Iterator[Document]:
        nonlocal last, is_whole
        for document in read_documents(file, start):
            if (further := knock.names_a_further_page(document.value)) is not None:
                last, is_whole = document, is_whole or not further
            yield document

    yield from _read_documents(documents(), start, knock.contents)
    if last is not None and not is_whole:
        problem = Problem("page_info.after", "names a further page, and the file holds no last one")
        yield Record(last.begin.line + 1, last.end, Rejected((problem,)))
