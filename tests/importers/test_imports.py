"""An interrupted import sends the same jobs as an uninterrupted one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.interrupted_import import STARTED, Interrupted, run_import

from rollbook.testing import RecordingRollbook, recording
from rollbook_ops.importers import (
    Checkpoint,
    CheckpointFile,
    FileFormat,
    ImportOptions,
    RejectedRow,
    RejectedRows,
    fingerprint,
)
from rollbook_shared.jobs.models import BulkIdentify, Job, UserUpdate

_JSONL = ImportOptions(format=FileFormat.JSONL)


def write(path: Path, users: int) -> Path:
    """A file with a rejected line after every third user."""
    with path.open("w") as file:
        for number in range(users):
            file.write(json.dumps({"id": f"u{number}", "seats": number}) + "\n")
            if number % 3 == 2:
                file.write("nonsense\n" if number % 2 else json.dumps({"id": "bad/id", "email": "x"}) + "\n")
    return path


def run(
    rollbook: RecordingRollbook, file: Path, rejected_rows: RejectedRows | None = None, stop_after: int | None = None
) -> Checkpoint:
    return run_import(rollbook, file, _JSONL, rejected_rows, stop_after)


def identified_ids(jobs: Sequence[Job]) -> list[str]:
    return [
        user.id for job in jobs if isinstance(job, BulkIdentify) for user in job.users if isinstance(user, UserUpdate)
    ]


def test_users_are_sent_once_in_chunks_stamped_with_the_start(tmp_path: Path) -> None:
    rollbook = recording()

    end = run(rollbook, write(tmp_path / "users.jsonl", 23))

    assert identified_ids(rollbook.sent) == [f"u{number}" for number in range(23)]
    assert {job.occurred_at for job in rollbook.sent} == {STARTED}
    assert len({job.id for job in rollbook.sent}) == len(rollbook.sent) == end.jobs
    assert (end.users, end.rejected) == (23, 7)


def test_rejected_lines_have_a_field_and_a_reason(tmp_path: Path) -> None:
    rejected_rows = RejectedRows()

    run(recording(), write(tmp_path / "users.jsonl", 6), rejected_rows)

    assert rejected_rows.first[0].line == 4
    assert {refusal.field for refusal in rejected_rows.first if refusal.line == 4} == {"id", "email"}
    assert RejectedRow(8, "", "is not JSON") in rejected_rows.first
    assert rejected_rows.records == 2


@pytest.mark.parametrize("stop_after", range(6))
def test_an_interrupted_import_sends_the_same_jobs(tmp_path: Path, stop_after: int) -> None:
    file = write(tmp_path / "users.jsonl", 23)
    whole = recording()
    run(whole, file)
    broken = recording()
    with suppress(Interrupted):
        run(broken, file, stop_after=stop_after)

    end = run(broken, file)

    assert broken.sent == whole.sent
    assert (end.users, end.rejected) == (23, 7)


def test_a_repeated_chunk_is_the_same_jobs(tmp_path: Path) -> None:
    file = write(tmp_path / "users.jsonl", 23)
    keep = CheckpointFile(file)
    rollbook = recording()
    with pytest.raises(Interrupted):
        run(rollbook, file, stop_after=1)
    older = keep.load()
    with pytest.raises(Interrupted):
        run(rollbook, file, stop_after=2)
    assert older is not None

    keep.save(older)  # killed before the checkpoint was saved
    run(rollbook, file)

    jobs: dict[str, Job] = {}
    assert all(jobs.setdefault(job.id, job) == job for job in rollbook.sent)
    assert len(jobs) < len(rollbook.sent)
    assert identified_ids([*jobs.values()]) == [f"u{number}" for number in range(23)]


def test_a_complete_import_removes_its_checkpoint(tmp_path: Path) -> None:
    file = write(tmp_path / "users.jsonl", 3)

    run(recording(), file)

    assert CheckpointFile(file).load() is None
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


def test_the_same_file_at_another_time_makes_other_jobs() -> None:
    one = Checkpoint(fingerprint="aa", started=1, chunk_users=100)
    other = Checkpoint(fingerprint="aa", started=2, chunk_users=100)

    assert one.job_id(0) != other.job_id(0)


def test_the_fingerprint_covers_content_and_options(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("id,zip\nu1,1\n")
    before = fingerprint(file, ImportOptions(format=FileFormat.CSV))

    assert fingerprint(file, ImportOptions(format=FileFormat.CSV, text_columns=("zip",))) != before
    file.write_text("id,zip\nu1,2\n")
    assert fingerprint(file, ImportOptions(format=FileFormat.CSV)) != before


def test_two_files_of_one_name_have_their_own_checkpoints(tmp_path: Path) -> None:
    one, other = (
        CheckpointFile(tmp_path / "a" / "users.csv", tmp_path),
        CheckpointFile(tmp_path / "b" / "users.csv", tmp_path),
    )

    assert one.path != other.path


def test_rejected_lines_fill_chunks(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("nonsense\n" * 1_000)
    rollbook = recording()

    end = run(rollbook, file)

    assert end.rejected == 1_000
    assert end.jobs == len(rollbook.sent) == 0
