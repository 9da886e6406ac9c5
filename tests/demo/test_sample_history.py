"""The life that the demo plays: made up the same for a seed, full of what is hard, and sayable through the face."""

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
def life() -> SampleHistory:
    return generate_jobs(seed=7, users=1_200, jobs=2_000, now=_NOW)


def test_a_seed_makes_the_same_life_again_and_another_seed_another(life: SampleHistory) -> None:
    assert generate_jobs(seed=7, users=1_200, jobs=2_000, now=_NOW) == life
    assert generate_jobs(seed=8, users=1_200, jobs=2_000, now=_NOW) != life


def test_nothing_happens_after_now_nor_more_than_a_day_before_the_span(life: SampleHistory) -> None:
    day = HISTORY // 30

    assert all(_NOW - SAMPLE_PERIOD - day <= job.occurred_at <= _NOW for job in life.jobs)


def test_jobs_are_distinct(life: SampleHistory) -> None:
    assert len({job.id for job in life.jobs}) == len(life.jobs)


def test_triggers_stand_on_both_sides_of_the_edge_of_a_merges_history(life: SampleHistory) -> None:
    edges = {(job.secondary_id, job.occurred_at - HISTORY) for job in life.jobs if isinstance(job, Merge)}
    told = {
        (recipient, job.occurred_at)
        for job in life.jobs
        if isinstance(job, Trigger)
        for recipient in job.recipients
        if isinstance(recipient, str)
    }

    assert len(edges & told) > 10
    assert len({(user_id, at - 1) for user_id, at in edges} & told) > 10


def test_merged_away_ids_are_written_to_before_and_after(life: SampleHistory) -> None:
    merges = {job.secondary_id: job.occurred_at for job in life.jobs if isinstance(job, Merge)}
    told = [
        job.occurred_at - merges[job.user.id]
        for job in life.jobs
        if isinstance(job, Identify) and job.user.id in merges
    ]

    assert min(told) < 0 < max(told)


def test_every_job_comes_out_of_the_face_as_it_was_meant(life: SampleHistory) -> None:
    rollbook = recording(clock=lambda: _NOW)

    for job in life.jobs:
        send_job(rollbook, job)

    assert rollbook.sent == list(life.jobs)


def test_importing_the_file_sends_the_jobs_that_the_reference_expects(life: SampleHistory, tmp_path: Path) -> None:
    file, options = tmp_path / "users.csv", ImportOptions(format=FileFormat.CSV)
    bad_lines = write_file(file, life.imported)
    state = Checkpoint(fingerprint=fingerprint(file, options), started=_NOW, chunk_users=CHUNK_USERS)
    rollbook = recording(clock=lambda: _NOW)

    with RejectedRows() as rejected_rows:
        end = import_users(
            rollbook.users, file, options, state, checkpoint_file=CheckpointFile(file), rejected_rows=rejected_rows
        )

    assert rollbook.sent == [*jobs_of(life.imported, state)]
    assert end.users == len(life.imported)
    assert end.rejected == rejected_rows.records == bad_lines > 0
