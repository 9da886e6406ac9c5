"""The page on imports is true: its examples can be imported, and become what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.documentation import section
from tests.support.interrupted_import import run_import

from rollbook.testing import BulkIdentify, Merge, RecordingRollbook, UserUpdate, recording
from rollbook_ops.importers import Checkpoint, FileFormat, ImportOptions, RejectedRows

PAGE = "docs/how-to/import.md"


def json_blocks(heading: str) -> list[str]:
    """The JSON blocks of one section."""
    return re.findall(r"^```json\n(.*?)^```$", section(PAGE, heading), re.MULTILINE | re.DOTALL)


def imported(text: str, options: ImportOptions, folder: Path) -> tuple[RecordingRollbook, Checkpoint]:
    file, rejected_rows, rollbook = folder / "file", RejectedRows(), recording()
    file.write_text(text)
    end = run_import(rollbook, file, options, rejected_rows)
    assert rejected_rows.first == []
    return rollbook, end


def sent_users(rollbook: RecordingRollbook) -> list[UserUpdate]:
    return [user for job in rollbook.sent.of(BulkIdentify) for user in job.users if isinstance(user, UserUpdate)]


def test_the_example_of_knock_can_be_imported(tmp_path: Path) -> None:
    given, gathered = json_blocks("From Knock")

    page = sent_users(imported(given, ImportOptions(format=FileFormat.KNOCK), tmp_path)[0])
    (ann,) = sent_users(imported(gathered, ImportOptions(format=FileFormat.KNOCK), tmp_path)[0])

    assert [user.id for user in page] == ["ann", "bo", "ann", "bo"]
    assert page[0].preferences == {"default": {"channel_types": {"in_app": True}}}
    assert page[0].traits == {"name": "Ann", "plan": "pro"}
    assert ann.preferences == {"default": {"categories": {"offers": False}}}
    assert ann.channel_data == {"apns-1": {"tokens": ["t1"]}}


def test_the_example_of_segment_can_be_imported(tmp_path: Path) -> None:
    (text,) = json_blocks("From Segment")

    rollbook, end = imported(text, ImportOptions(format=FileFormat.SEGMENT), tmp_path)

    (ann,) = sent_users(rollbook)
    assert ann.traits == {
        "name": "Ann Lee",
        "firstName": "Ann",
        "lastName": "Lee",
        "phone_number": "+14155550100",
        "created_at": "2015-02-23T22:28:55Z",
        "plan": "pro",
        "locale": "en-US",
        "timezone": "Europe/Berlin",
    }
    assert [job.secondary_id for job in rollbook.sent.of(Merge)] == ["guest_9"]
    assert end.skipped == {"track": 1}


def test_the_other_examples_can_be_imported(tmp_path: Path) -> None:
    (text,) = json_blocks("From Courier, Novu, SuprSend")

    (ann,) = sent_users(imported(" ".join(text.split()), ImportOptions(format=FileFormat.JSONL), tmp_path)[0])

    assert ann.preferences == {"default": {"workflows": {"digest": False}}}
