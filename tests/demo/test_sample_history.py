"""The jobs of the demo: the same for the same seed, full of hard cases, and possible through the client."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollbook.testing import recording
from rollbook_ops.demo.api_calls import send_job
from rollbook_ops.demo.import_file import CHUNK_USERS, jobs_of, write_file
from rollbook_ops.importers import (
    Checkpoint,
    CheckpointFile,
    FileFormat,
    ImportOptions,
    RejectedRows,
    fingerprint,
    import_users,
)
from rollbook_shared.jobs.models import Identify, Merge, Trigger
from rollbook_shared.reference.generator import HISTORY, SAMPLE_PERIOD, SampleHistory, generate_jobs

_NOW = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def history() -> SampleHistory:
    return generate_jobs(seed=7, users=1_200, jobs=2_000, now=_NOW)


def test_a_seed_determines_the_jobs(history: SampleHistory) -> None:
    assert generate_jobs(seed=7, users=1_200, jobs=2_000, now=_NOW) == history
    assert generate_jobs(seed=8, users=1_200, jobs=2_000, now=_NOW) != history


def test_no_job_is_stamped_outside_the_span(history: SampleHistory) -> None:
    day = HISTORY // 30

    assert all(_NOW - SAMPLE_PERIOD - day <= job.occurred_at <= _NOW for job in history.jobs)


def test_jobs_are_distinct(history: SampleHistory) -> None:
    assert len({job.id for job in history.jobs}) == len(history.jobs)


def test_triggers_are_on_both_sides_of_the_history_limit(history: SampleHistory) -> None:
    edges = {(job.secondary_id, job.occurred_at - HISTORY) for job in history.jobs if isinstance(job, Merge)}
    triggered = {
        (recipient, job.occurred_at)
        for job in history.jobs
        if isinstance(job, Trigger)
        for recipient in job.recipients
        if isinstance(recipient, str)
    }

    assert len(edges & triggered) > 10
    assert len({(user_id, at - 1) for user_id, at in edges} & triggered) > 10


def test_merged_ids_are_written_to_before_and_after(history: SampleHistory) -> None:
    merges = {job.secondary_id: job.occurred_at for job in history.jobs if isinstance(job, Merge)}
    distances = [
        job.occurred_at - merges[job.user.id]
        for job in history.jobs
        if isinstance(job, Identify) and job.user.id in merges
    ]

    assert min(distances) < 0 < max(distances)


def test_the_client_sends_every_job_unchanged(history: SampleHistory) -> None:
    rollbook = recording(clock=lambda: _NOW)

    for job in history.jobs:
        send_job(rollbook, job)

    assert rollbook.sent == list(history.jobs)


def test_importing_the_file_sends_the_jobs_that_the_reference_expects(history: SampleHistory, tmp_path: Path) -> None:
    file, options = tmp_path / "users.csv", ImportOptions(format=FileFormat.CSV)
    bad_lines = write_file(file, history.imported)
    state = Checkpoint(fingerprint=fingerprint(file, options), started=_NOW, chunk_users=CHUNK_USERS)
    rollbook = recording(clock=lambda: _NOW)

    with RejectedRows() as rejected_rows:
        end = import_users(
            rollbook.users, file, options, state, checkpoint_file=CheckpointFile(file), rejected_rows=rejected_rows
        )

    assert rollbook.sent == [*jobs_of(history.imported, state)]
    assert end.users == len(history.imported)
    assert end.rejected == rejected_rows.records == bad_lines > 0
