"""Records of CSV and JSONL files: what is a record, where it ends, what is rejected."""

from __future__ import annotations

import io
from typing import Any

import pytest

from rollbook.formats.records import RejectedRecord, UserRecord
from rollbook_ops.file_format import FileFormat, NotImportable
from rollbook_ops.importers.lines import FilePosition
from rollbook_ops.importers.reader import ImportOptions, read_records
from rollbook_ops.importers.records import Record

TABLES = (FileFormat.CSV, FileFormat.JSONL)


def read(text: str | bytes, file_format: FileFormat, start: FilePosition | None = None) -> list[Record]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_records(io.BytesIO(data), ImportOptions(format=file_format), start or FilePosition()))


def users(records: list[Record]) -> list[dict[str, Any] | None]:
    return [user_of(record) for record in records]


def user_of(record: Record) -> dict[str, Any] | None:
    return dict(record.content.user) if isinstance(record.content, UserRecord) else None


def reason(record: Record) -> str:
    assert isinstance(record.content, RejectedRecord)
    (problem,) = record.content.problems
    return problem.reason


def test_an_empty_cell_sets_nothing() -> None:
    assert users(read("id,email,plan\nu1,a@example.com,\nu2,,pro\n", FileFormat.CSV)) == [
        {"id": "u1", "email": "a@example.com"},
        {"id": "u2", "plan": "pro"},
    ]


def test_byte_order_marks_and_windows_line_ends_are_ignored() -> None:
    assert users(read(b"\xef\xbb\xbfid,plan\r\nu1,pro\r\n", FileFormat.CSV)) == [{"id": "u1", "plan": "pro"}]
    assert users(read(b'\xef\xbb\xbf{"id": "u1"}\r\n', FileFormat.JSONL)) == [{"id": "u1"}]


def test_a_quoted_cell_may_hold_line_ends_and_lines_are_counted_as_editors_do() -> None:
    first, second = read('id,note\nu1,"one\ntwo"\nu2,x\n', FileFormat.CSV)

    assert user_of(first) == {"id": "u1", "note": "one\ntwo"}
    assert (first.line, second.line) == (2, 4)


@pytest.mark.parametrize("file_format", TABLES)
def test_reading_continues_after_any_record(file_format: FileFormat) -> None:
    text = {
        FileFormat.CSV: 'id,note\nu1,"one\ntwo"\n\nu2,é\nu3,x,y\nu4,"\nu5"\nu6,last',
        FileFormat.JSONL: '{"id": "u1"}\n\n{"id": "é"}\nnonsense\n{"id": "u4"}',
    }[file_format]
    whole = read(text, file_format)

    for number, record in enumerate(whole):
        assert read(text, file_format, record.end) == whole[number + 1 :]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("u1,pro,more", "has 3 cells, but there are 2 columns"),
        ('u1,"pro"x', "is not CSV: ',' expected after '\"'"),
        (b"u1,\xff", "is not UTF-8"),
    ],
)
def test_an_invalid_csv_line_costs_only_itself(line: str | bytes, why: str) -> None:
    data = line if isinstance(line, bytes) else line.encode()

    bad, good = read(b"id,plan\n" + data + b"\nu2,free\n", FileFormat.CSV)

    assert (bad.line, user_of(bad), reason(bad)) == (2, None, why)
    assert user_of(good) == {"id": "u2", "plan": "free"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"nonsense", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'"\xff"', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_an_invalid_jsonl_line_costs_only_itself(line: bytes, why: str) -> None:
    bad, good = read(line + b'\n{"id": "u2"}\n', FileFormat.JSONL)

    assert (bad.line, user_of(bad), reason(bad)) == (1, None, why)
    assert user_of(good) == {"id": "u2"}


def test_a_line_that_is_too_long_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbook_ops.importers.reader.MAX_LINE", 20)

    bad, good = read('{"id": "' + "x" * 90 + '"}\n{"id": "u2"}\n', FileFormat.JSONL)

    assert reason(bad) == "is longer than 20 bytes"
    assert (good.line, user_of(good)) == (2, {"id": "u2"})


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "empty"),
        ("name,email\n", "no column is named id"),
        ("id,plan,plan\n", "two columns are named 'plan'"),
        ("id,,plan\n", "column 2 has no name"),
        ("id,updated_at\n", "updated_at"),
    ],
)
def test_an_invalid_header_rejects_the_file(header: str, why: str) -> None:
    with pytest.raises(NotImportable, match=why):
        read(header, FileFormat.CSV)
