"""Files of other products may be interrupted anywhere, imported again, or older than the stored values."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.interrupted_import import STARTED, Interrupted, Stopping, run_import
from tests.support.memory_store import MemoryStore

from rollbook.testing import BulkIdentify, RecordingRollbook, recording
from rollbook_ops.importers import (
    Checkpoint,
    CheckpointFile,
    FileFormat,
    ImportOptions,
    RejectedRows,
    fingerprint,
    import_users,
)
from rollbook_shared.domain.stamps import Stamp, microseconds, occurred_at_of
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Job, UserUpdate
from rollbook_shared.reference.world import World
from rollbook_worker.store import ReceivedJob

Write = Callable[[Path], ImportOptions]


def write_knock(file: Path) -> ImportOptions:
    """Pages of several chunks each, with invalid users, on one line and on several."""
    users = [
        {"id": f"u{number}" if number % 7 else "bad/id", "updated_at": _at(number), "seats": number}
        for number in range(31)
    ]
    bulk = {"preferences": {"id": "acme", "categories": {"ads": False}}, "user_ids": [f"u{n}" for n in range(1, 13)]}
    documents: list[Any] = [{"entries": users[:17]}, users[17:], {"id": "solo"}, bulk]
    texts = [
        json.dumps(document, indent=indent) for document, indent in zip(documents, (2, None, None, 1), strict=True)
    ]
    file.write_text("nonsense\n".join(f"{text}\n" for text in texts))
    return ImportOptions(format=FileFormat.KNOCK)


def write_segment(file: Path) -> ImportOptions:
    """A log with calls of all types, and a batch in the middle."""
    calls: list[Any] = []
    for number in range(40):
        base = {"timestamp": _at(number), "userId": f"u{number % 9}", "anonymousId": f"a{number % 4}"}
        kind = ("identify", "track", "alias", "identify", "nonsense")[number % 5]
        calls.append({**base, "type": kind, "previousId": f"a{number}", "traits": {"seats": number}})
    batch = {"batch": calls[10:33]}
    file.write_text("".join(json.dumps(call) + "\n" for call in [*calls[:10], batch, *calls[33:]]))
    return ImportOptions(format=FileFormat.SEGMENT, anonymous=True)


def _at(number: int) -> str:
    return f"2026-03-01T10:{number:02}:00Z"


def world_after(*jobs: Job) -> World:
    store = MemoryStore()
    outcomes = store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=STARTED + 10_000_000)
    assert not store.dead
    assert len(outcomes) == len(jobs)
    world = store.world()
    for user in world["users"].values():
        user["updated"] = str(occurred_at_of(Stamp(user["updated"])))  # readers see no job id
    return world


@pytest.mark.parametrize("stop_after", range(0, 18, 2))
@pytest.mark.parametrize("write", [write_knock, write_segment])
def test_an_interrupted_import_sends_the_same_jobs(tmp_path: Path, write: Write, stop_after: int) -> None:
    file = tmp_path / "file"
    options = write(file)
    whole, rejected_rows = recording(), RejectedRows()
    end = run_import(whole, file, options, rejected_rows)
    assert end.rejected == rejected_rows.records > 0
    broken = recording()
    with suppress(Interrupted):
        run_import(broken, file, options, stop_after=stop_after)

    again = run_import(broken, file, options)

    jobs: dict[str, Job] = {}
    assert all(jobs.setdefault(job.id, job) == job for job in broken.sent)
    assert list(jobs.values()) == whole.sent
    assert again == end


def test_an_import_continues_within_a_page(tmp_path: Path) -> None:
    file = tmp_path / "file"
    options = write_knock(file)
    rollbook = recording()
    with suppress(Interrupted):
        run_import(rollbook, file, options, stop_after=2)

    kept = CheckpointFile(file).load()

    assert kept is not None
    assert (kept.offset, kept.users, kept.rejected) == (0, 8, 2)
    assert kept.records == 10


@pytest.mark.parametrize("write", [write_knock, write_segment])
def test_a_file_imported_again_changes_nothing(tmp_path: Path, write: Write) -> None:
    file = tmp_path / "file"
    options = replace(write(file), occurred_at=datetime(2026, 3, 2, tzinfo=UTC))
    once = imported(file, options, STARTED)

    twice = imported(file, options, STARTED + 60_000_000)

    assert {job.id for job in once.sent}.isdisjoint(job.id for job in twice.sent)
    assert world_after(*once.sent, *twice.sent) == world_after(*once.sent)
    assert world_after(*twice.sent, *once.sent) == world_after(*once.sent)


@pytest.mark.parametrize(
    ("format_", "document"),
    [
        (FileFormat.KNOCK, {"id": "ann", "updated_at": "2026-03-01T10:00:00Z", "plan": "free", "city": "Bern"}),
        (
            FileFormat.SEGMENT,
            {
                "type": "identify",
                "userId": "ann",
                "timestamp": "2026-03-01T10:00:00Z",
                "traits": {"plan": "free", "city": "Bern"},
            },
        ),
        (FileFormat.JSONL, {"id": "ann", "plan": "free", "city": "Bern"}),
    ],
)
def test_older_values_do_not_overwrite_newer_ones(
    tmp_path: Path, format_: FileFormat, document: dict[str, Any]
) -> None:
    file = tmp_path / "file"
    file.write_text(json.dumps(document))
    newer = Identify(
        id="newer",
        occurred_at=microseconds(datetime(2026, 3, 1, 11, tzinfo=UTC)),
        user=UserUpdate(id="ann", traits={"plan": "pro"}),
    )
    at = datetime(2026, 3, 1, 10, 30, tzinfo=UTC) if format_ is FileFormat.JSONL else None

    old = imported(file, ImportOptions(format=format_, occurred_at=at), STARTED)

    ann = world_after(newer, *old.sent)["users"]["ann"]
    assert ann["properties"] == {"plan": "pro", "city": "Bern"}


def test_another_occurred_at_is_another_import(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"id": "ann"}\n')

    prints = {
        fingerprint(file, ImportOptions(format=FileFormat.JSONL, occurred_at=at))
        for at in (None, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    }

    assert len(prints) == 3


def imported(file: Path, options: ImportOptions, started: int) -> RecordingRollbook:
    rollbook = recording()
    state = Checkpoint(fingerprint=fingerprint(file, options), started=started, chunk_users=5)
    import_users(
        Stopping(rollbook, None),
        file,
        options,
        state,
        checkpoint_file=CheckpointFile(file),
        rejected_rows=RejectedRows(),
    )
    assert rollbook.sent.of(BulkIdentify)
    return rollbook
