"""The file of rejected records can be mended and imported alone; and users can be sent without their bad fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.interrupted_import import STARTED, run_import

from rollbook.testing import BulkIdentify, RecordingRollbook, UserUpdate, recording
from rollbook_ops.importers import (
    Checkpoint,
    FileFormat,
    ImportOptions,
    NotImportable,
    RejectedRows,
    check_rejected_path,
)
from rollbook_shared.domain.stamps import microseconds

CSV = ImportOptions(format=FileFormat.CSV)
KNOCK = ImportOptions(format=FileFormat.KNOCK)
SEGMENT = ImportOptions(format=FileFormat.SEGMENT, anonymous=True)


def imported(
    source: Path, options: ImportOptions, rejected: Path
) -> tuple[RecordingRollbook, Checkpoint, RejectedRows]:
    rollbook = recording()
    with RejectedRows(rejected) as rows:
        end = run_import(rollbook, source, options, rows)
    return rollbook, end, rows


def sent(rollbook: RecordingRollbook) -> list[tuple[UserUpdate, int]]:
    """The users that were sent, with the times of their values."""
    return [
        (user, job.timestamps[index] if job.timestamps else job.occurred_at)
        for job in rollbook.sent.of(BulkIdentify)
        for index, user in enumerate(job.users)
        if isinstance(user, UserUpdate)
    ]


def test_a_mended_csv_file_is_imported_with_the_original_time(tmp_path: Path) -> None:
    source, rejected = tmp_path / "users.csv", tmp_path / "rejected.csv"
    source.write_text('ID,E-Mail,note\nann,a@example.com,x\nbo,nowhere,"one\ntwo"\nc/y,,z\n')
    _, end, _ = imported(source, CSV, rejected)
    assert (end.users, end.rejected) == (1, 2)
    rejected.write_text(rejected.read_text().replace("nowhere", "bo@example.com").replace("c/y", "cy"))

    again, end, rows = imported(rejected, CSV, tmp_path / "again.csv")

    assert rows.first == []
    assert end.rejected == 0
    assert [(user.id, user.traits, at) for user, at in sent(again)] == [
        ("bo", {"email": "bo@example.com", "note": "one\ntwo"}, STARTED),
        ("cy", {"note": "z"}, STARTED),
    ]


def test_rows_that_stay_wrong_are_written_again_with_the_same_time(tmp_path: Path) -> None:
    source, first, second = tmp_path / "users.csv", tmp_path / "first.csv", tmp_path / "second.csv"
    source.write_text("id,email\nann,nowhere\nbo,x,y\n")
    options = ImportOptions(format=FileFormat.CSV, occurred_at=datetime(2026, 1, 31, tzinfo=UTC))
    imported(source, options, first)

    imported(first, CSV, second)

    def rows(path: Path) -> list[list[str]]:
        return [line.split(",")[1:] for line in path.read_text().splitlines()]

    assert rows(second)[:2] == rows(first)[:2]
    assert "2026-01-31T00:00:00+00:00" in second.read_text()


def test_a_mended_file_of_json_lines_keeps_the_time_and_the_text(tmp_path: Path) -> None:
    source, rejected = tmp_path / "users.jsonl", tmp_path / "rejected.jsonl"
    source.write_text('{"id": "ann", "email": "nowhere", "seats": 2}\nnonsense\n')
    options = ImportOptions(format=FileFormat.JSONL)
    imported(source, options, rejected)

    bad_email, nonsense = map(json.loads, rejected.read_text().splitlines())

    assert bad_email["_rollbook_field"] == "email"
    assert (nonsense["_rollbook_line"], nonsense["_rollbook_text"]) == (2, "nonsense")
    rejected.write_text(json.dumps({**bad_email, "email": "a@example.com"}))
    again, *_ = imported(rejected, options, tmp_path / "again.jsonl")
    ((user, at),) = sent(again)
    assert (user.id, user.traits, at) == ("ann", {"email": "a@example.com", "seats": 2}, STARTED)


def test_records_within_documents_are_written_alone(tmp_path: Path) -> None:
    source, rejected = tmp_path / "knock.json", tmp_path / "rejected.jsonl"
    page = {"entries": [{"id": "ann"}, {"id": "bo", "email": "x", "updated_at": "2026-01-30T10:00:00Z"}]}
    bulk = {"user_ids": ["ann", "c/y"], "preferences": {"id": "acme", "categories": {"ads": False}}}
    source.write_text(json.dumps([page, bulk]))
    imported(source, KNOCK, rejected)
    rejected.write_text(rejected.read_text().replace('"x"', '"b@example.com"').replace("c/y", "cy"))

    again, _, rows = imported(rejected, KNOCK, tmp_path / "again.jsonl")

    assert rows.first == []
    assert [(user.id, user.traits, user.preferences, at) for user, at in sent(again)] == [
        ("bo", {"email": "b@example.com"}, {}, microseconds(datetime(2026, 1, 30, 10, tzinfo=UTC))),
        ("cy", {}, {"acme": {"categories": {"ads": False}}}, STARTED),
    ]


def test_a_call_of_segment_is_written_whole(tmp_path: Path) -> None:
    source, rejected = tmp_path / "log.jsonl", tmp_path / "rejected.jsonl"
    call = {"type": "identify", "userId": "a/n", "timestamp": "2026-01-30T10:00:00Z", "traits": {"plan": "pro"}}
    source.write_text(json.dumps({"batch": [{"type": "track"}, call]}))
    imported(source, SEGMENT, rejected)
    rejected.write_text(rejected.read_text().replace("a/n", "an"))

    again, *_ = imported(rejected, SEGMENT, tmp_path / "again.jsonl")

    assert [(user.id, user.traits) for user, _ in sent(again)] == [("an", {"plan": "pro"})]


def test_a_bad_field_is_left_out_and_the_opt_outs_are_kept(tmp_path: Path) -> None:
    source, rejected = tmp_path / "knock.json", tmp_path / "rejected.jsonl"
    user = {
        "id": "ann",
        "phone_number": "(415) 555-0100",
        "email": "",
        "plan": "pro",
        "preferences": {"default": {"categories": {"offers": False}}},
    }
    source.write_text(json.dumps({"users": [user]}))
    lenient = ImportOptions(format=FileFormat.KNOCK, skip_bad_fields=True)

    rollbook, end, rows = imported(source, lenient, rejected)

    ((update, _),) = sent(rollbook)
    assert update.traits == {"plan": "pro"}
    assert update.preferences == {"default": {"categories": {"offers": False}}}
    assert (end.users, end.rejected, end.bad_fields) == (1, 0, 2)
    assert {row.field for row in rows.first} == {"users[0].phone_number", "users[0].email"}
    assert json.loads(rejected.read_text())["phone_number"] == "(415) 555-0100"


@pytest.mark.parametrize(
    "bad", [{"id": "a/n"}, {"preferences": {"default": {"workflows": {"w": "no"}}}}, {"big": "x" * 300_000}]
)
def test_a_user_whose_id_or_opt_outs_are_bad_is_rejected_all_the_same(tmp_path: Path, bad: dict[str, object]) -> None:
    source = tmp_path / "users.jsonl"
    source.write_text(json.dumps({"id": "ann", "email": "x", **bad}))
    lenient = ImportOptions(format=FileFormat.JSONL, skip_bad_fields=True)

    rollbook, end, _ = imported(source, lenient, tmp_path / "rejected.jsonl")

    assert sent(rollbook) == []
    assert end.rejected == 1


def test_a_key_with_dots_and_brackets_can_be_left_out(tmp_path: Path) -> None:
    source = tmp_path / "users.jsonl"
    source.write_text('{"id": "ann", "a": 1, "a.b[0]": "\\u0000"}')
    lenient = ImportOptions(format=FileFormat.JSONL, skip_bad_fields=True)

    rollbook, *_ = imported(source, lenient, tmp_path / "rejected.jsonl")

    assert [user.traits for user, _ in sent(rollbook)] == [{"a": 1}]


@pytest.mark.parametrize("name", ["rejected.csv", "rejected.jsonl"])
def test_all_rejected_records_are_written_and_the_first_are_shown(tmp_path: Path, name: str) -> None:
    source = tmp_path / f"users{Path(name).suffix}"
    record = "u/{}" if name.endswith(".csv") else '{{"id": "u/{}"}}'
    source.write_text(("id\n" if name.endswith(".csv") else "") + "\n".join(record.format(n) for n in range(30)))
    options = ImportOptions(format=FileFormat.of(source))

    _, _, rows = imported(source, options, tmp_path / name)

    assert len((tmp_path / name).read_text().splitlines()) == 30 + name.endswith(".csv")
    assert (len(rows.first), rows.records, rows.is_cut) == (20, 30, True)


def test_bytes_that_are_no_text_are_written_as_they_are(tmp_path: Path) -> None:
    source, rejected = tmp_path / "users.csv", tmp_path / "rejected.csv"
    source.write_bytes(b"id,name\nann,J\xfcrgen\n")

    imported(source, CSV, rejected)

    assert b"ann,J\xfcrgen" in rejected.read_bytes()


def test_the_file_of_rejected_records_is_never_one_that_the_import_needs(tmp_path: Path) -> None:
    source = tmp_path / "users.csv"
    source.write_text("id\n")
    link, hard_link = tmp_path / "link.csv", tmp_path / "hard.csv"
    link.symlink_to(source)
    hard_link.hardlink_to(source)

    for path in (source, link, hard_link, tmp_path / "folder" / ".." / "users.csv"):
        with pytest.raises(NotImportable, match="--rejected names"):
            check_rejected_path(path, source)
    check_rejected_path(tmp_path / "other.csv", source)
