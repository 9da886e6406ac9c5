"""Files as spreadsheets, databases and programs with a fault write them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from rollbook.formats.records import MergeRecord, RejectedRecord, UserRecord
from rollbook_ops.file_format import FileFormat
from rollbook_ops.importers.lines import FilePosition
from rollbook_ops.importers.reader import ImportOptions, read_records
from rollbook_ops.importers.records import Record

NO_BREAK_SPACE, ZERO_WIDTH_SPACE = "\u00a0", "\u200b"


def read(text: str, file_format: FileFormat = FileFormat.CSV, **options: Any) -> list[Record]:
    file = io.BytesIO(text.encode())
    return list(read_records(file, ImportOptions(format=file_format, **options), FilePosition()))


def users(records: list[Record]) -> list[dict[str, Any]]:
    return [dict(record.content.user) for record in records if isinstance(record.content, UserRecord)]


def problems(record: Record) -> list[tuple[str, str]]:
    assert isinstance(record.content, RejectedRecord)
    return [(problem.field, problem.reason) for problem in record.content.problems]


@pytest.mark.parametrize("blank", ["   ", ",,", " , ,", '"",', "\t", NO_BREAK_SPACE])
def test_a_row_of_blanks_is_no_record(blank: str) -> None:
    assert users(read(f"id,email\nann,a@example.com\n{blank}\nbo,\n{blank}\n")) == [
        {"id": "ann", "email": "a@example.com"},
        {"id": "bo"},
    ]
    assert len(read(f"id,email\n{blank}\n{blank}")) == 0


def test_commas_at_the_end_of_the_header_and_of_rows_are_ignored() -> None:
    records = read("id,plan,,\nann,pro,,\nbo,free\ncy,,,x\n")

    assert users(records) == [{"id": "ann", "plan": "pro"}, {"id": "bo", "plan": "free"}]
    assert problems(records[2]) == [("", "has 4 cells, but there are 2 columns")]


def test_attributes_in_another_spelling_are_attributes() -> None:
    (user,) = users(read("ID,Email,Name,Phone Number,createdAt,Plan\n1,a@example.com,Ann,+14155550100,x,pro\n"))

    assert user == {
        "id": "1",
        "email": "a@example.com",
        "name": "Ann",
        "phone_number": "+14155550100",
        "created_at": "x",
        "Plan": "pro",
    }


def test_a_column_in_another_spelling_is_a_property_next_to_one_with_the_name() -> None:
    assert users(read("id,email,Email\nann,a@example.com,x\n")) == [
        {"id": "ann", "email": "a@example.com", "Email": "x"}
    ]


def test_columns_and_keys_are_renamed() -> None:
    renamed = {"Contact": "id", "Mail": "email", "Email": "Email"}

    assert users(read("Contact,Mail,Email\nann,a@example.com,5\n", renamed=renamed)) == [
        {"id": "ann", "email": "a@example.com", "Email": 5}
    ]
    line = json.dumps({"Contact": "ann", "Mail": "a@example.com"})
    assert users(read(line, FileFormat.JSONL, renamed=renamed)) == [{"id": "ann", "email": "a@example.com"}]


def test_a_key_is_not_renamed_to_one_that_the_record_has() -> None:
    (record,) = read('{"id": "ann", "mail": "x", "email": "y"}', FileFormat.JSONL, renamed={"mail": "email"})

    assert problems(record) == [("mail", "cannot be email, which the record has too")]


def test_a_key_that_looks_like_an_attribute_is_reported() -> None:
    (record,) = read('{"id": "ann", "phoneNumber": "1"}', FileFormat.JSONL)

    assert isinstance(record.content, UserRecord)
    assert record.content.warnings == (
        "key phoneNumber is a property; --map phoneNumber=phone_number makes it an attribute",
    )


@pytest.mark.parametrize("user_id", ["undefined", "null", "NULL", "None", "NaN", "[object Object]", r"\N", "#N/A"])
def test_the_id_of_a_missing_value_is_rejected_in_every_format(user_id: str) -> None:
    call = {"type": "identify", "timestamp": "2026-01-30T10:00:00Z"}
    alias = {**call, "type": "alias", "userId": "ann", "previousId": user_id}
    records = [
        *read(f"id\n{user_id}\n"),
        *read(json.dumps({"id": user_id}), FileFormat.JSONL),
        *read(json.dumps({"entries": [{"id": user_id}]}), FileFormat.KNOCK),
        *read(json.dumps({**call, "userId": user_id}), FileFormat.SEGMENT),
        *read(json.dumps({**call, "anonymousId": user_id}), FileFormat.SEGMENT, anonymous=True),
        *read(json.dumps(alias), FileFormat.SEGMENT),
    ]

    reason = "is what a program writes for a missing value, and not the id of a user"
    fields = ["id", "id", "id", "userId", "anonymousId", "previousId"]
    assert [problems(record) for record in records] == [[(field, reason)] for field in fields]


@pytest.mark.parametrize("user_id", ["1.23457E+12", "1,23457E+12", "-4E+15"])
def test_an_id_that_a_spreadsheet_has_rounded_is_rejected(user_id: str) -> None:
    (record,) = read(f'id\n"{user_id}"\n')

    ((field, reason),) = problems(record)
    assert (field, reason.partition(";")[0]) == ("id", "is a number that a spreadsheet has rounded")


@pytest.mark.parametrize("user_id", ["1E5", "nullable", "undefined-7", "0x1E+", "none"])
def test_an_id_that_only_resembles_a_mistake_is_taken(user_id: str) -> None:
    assert users(read(f"id\n{user_id}\n")) == [{"id": user_id}]


@pytest.mark.parametrize("user_id", ["ws-1 ", " ws-1", f"ws-1{NO_BREAK_SPACE}", f"{ZERO_WIDTH_SPACE}ws-1"])
def test_blanks_around_an_id_are_reported_or_removed(user_id: str) -> None:
    (kept,) = read(f"id,email\n{user_id}, a@example.com \n")
    (stripped,) = read(f"id,email\n{user_id}, a@example.com \n", strip=True)

    assert isinstance(kept.content, UserRecord)
    assert kept.content.warnings == ("ids begin or end with a blank; --strip removes it",)
    assert users([kept, stripped]) == [
        {"id": user_id, "email": " a@example.com "},
        {"id": "ws-1", "email": "a@example.com"},
    ]
    assert isinstance(stripped.content, UserRecord)
    assert stripped.content.warnings == ()


def test_strip_leaves_out_an_attribute_of_blanks_and_reaches_merges() -> None:
    assert users(read("id,email\nann, \n", strip=True)) == [{"id": "ann"}]
    alias = {"type": "alias", "userId": "ann ", "previousId": " g", "timestamp": "2026-01-30T10:00:00Z"}
    (record,) = read(json.dumps(alias), FileFormat.SEGMENT, strip=True)

    assert isinstance(record.content, MergeRecord)
    assert (record.content.primary_id, record.content.secondary_id) == ("ann", "g")


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.JSONL])
@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("2024-01-05 10:00:00+00", "2024-01-05T10:00:00Z"),
        ("2024-01-05 10:00:00.5+02", "2024-01-05T08:00:00.500000Z"),
        ("2024-01-05 10:00:00+0530", "2024-01-05T04:30:00Z"),
        ("2024-01-05 10:00:00 UTC", "2024-01-05T10:00:00Z"),
        ("2024-01-05T10:00:00+00:00", "2024-01-05T10:00:00+00:00"),
        ("2024-01-05 10:00:00", "2024-01-05 10:00:00"),  # without an offset it may mean any
        ("01/05/2024", "01/05/2024"),
    ],
)
def test_times_as_postgres_copies_them_are_taken(file_format: FileFormat, written: str, read_as: str) -> None:
    text = {
        FileFormat.CSV: f"id,created_at\nann,{written}\n",
        FileFormat.JSONL: json.dumps({"id": "ann", "created_at": written}),
    }[file_format]

    assert users(read(text, file_format)) == [{"id": "ann", "created_at": read_as}]


def test_rudderstack_names_join_as_segment_names_do() -> None:
    call = {
        "type": "identify",
        "userId": "ann",
        "timestamp": "2026-01-30T10:00:00Z",
        "context": {"traits": {"firstname": "Ann", "lastname": "Lee"}},
    }

    (user,) = users(read(json.dumps(call), FileFormat.SEGMENT))

    assert user["name"] == "Ann Lee"


def test_a_byte_of_zero_costs_only_its_record() -> None:
    bad, good = read("id,name\nann,A\x00nn\nbo,Bo\n")

    assert users([bad, good])[1] == {"id": "bo", "name": "Bo"}
