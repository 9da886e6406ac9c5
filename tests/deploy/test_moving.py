"""deploy/moving.md is true: its commands are known, its links lead somewhere, and its examples can be imported."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.support.interrupted_import import run_import
from tests.support.repository import ROOT
from typer.testing import CliRunner

from rollbook.testing import BulkIdentify, Merge, RecordingRollbook, UserUpdate, recording
from rollbook_ops.cli.app import app
from rollbook_ops.importers import Checkpoint, FileFormat, ImportOptions, RejectedRows

DEPLOY = ROOT / "deploy"
PAGE = (DEPLOY / "moving.md").read_text()


def blocks(language: str, under: str) -> list[str]:
    """The blocks of one section."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(under)]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def imported(text: str, options: ImportOptions, folder: Path) -> tuple[RecordingRollbook, Checkpoint]:
    file, rejected_rows, rollbook = folder / "file", RejectedRows(), recording()
    file.write_text(text)
    end = run_import(rollbook, file, options, rejected_rows)
    assert rejected_rows.first == []
    return rollbook, end


def told(rollbook: RecordingRollbook) -> list[UserUpdate]:
    return [user for job in rollbook.sent.of(BulkIdentify) for user in job.users if isinstance(user, UserUpdate)]


def test_what_it_shows_of_knock_can_be_imported(tmp_path: Path) -> None:
    given, gathered = blocks("json", "From Knock")

    page = told(imported(given, ImportOptions(format=FileFormat.KNOCK), tmp_path)[0])
    (ann,) = told(imported(gathered, ImportOptions(format=FileFormat.KNOCK), tmp_path)[0])

    assert [user.id for user in page] == ["ann", "bo", "ann", "bo"]
    assert page[0].preferences == {"default": {"channel_types": {"in_app": True}}}
    assert page[0].traits == {"name": "Ann", "plan": "pro"}
    assert ann.preferences == {"default": {"categories": {"offers": False}}}
    assert ann.channel_data == {"apns-1": {"tokens": ["t1"]}}


def test_what_it_shows_of_segment_can_be_imported(tmp_path: Path) -> None:
    (text,) = blocks("json", "From Segment")

    rollbook, end = imported(text, ImportOptions(format=FileFormat.SEGMENT), tmp_path)

    (ann,) = told(rollbook)
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


def test_what_it_shows_of_the_others_can_be_imported(tmp_path: Path) -> None:
    (text,) = blocks("json", "From Courier")

    (ann,) = told(imported(" ".join(text.split()), ImportOptions(format=FileFormat.JSONL), tmp_path)[0])

    assert ann.preferences == {"default": {"workflows": {"digest": False}}}


@pytest.mark.parametrize("line", re.findall(r"^rollbook .*$", PAGE, re.MULTILINE))
def test_its_commands_are_known(line: str) -> None:
    assert CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"]).exit_code == 0


def test_its_links_lead_somewhere() -> None:
    for path, place in re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", PAGE):
        headings = re.findall(r"^#+ (.*)$", (DEPLOY / path).read_text(), re.MULTILINE)
        assert not place or place in {
            re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
