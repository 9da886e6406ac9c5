"""Imports that are interrupted at a chosen job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rollbook.testing import RecordingRollbook
from rollbook_ops.importers import Checkpoint, CheckpointFile, ImportOptions, RejectedRows, fingerprint, import_users

STARTED = 1_795_000_000_000_000


class Interrupted(Exception):
    pass


class Stopping:
    """Sends to `rollbook` until `after` jobs are sent."""

    def __init__(self, rollbook: RecordingRollbook, after: int | None) -> None:
        self._rollbook = rollbook
        self._left = after

    def bulk_identify(
        self,
        users: Sequence[Mapping[str, Any]],
        *,
        timestamps: Sequence[datetime] | None,
        job_id: str,
        occurred_at: datetime,
    ) -> object:
        self._check()
        sent = self._rollbook.users.bulk_identify(users, timestamps=timestamps, job_id=job_id, occurred_at=occurred_at)
        self._count()
        return sent

    def merge(self, user_id: str, from_user_id: str, *, job_id: str, occurred_at: datetime) -> object:
        self._check()
        sent = self._rollbook.users.merge(user_id, from_user_id, job_id=job_id, occurred_at=occurred_at)
        self._count()
        return sent

    def _check(self) -> None:
        if self._left == 0:
            raise Interrupted

    def _count(self) -> None:
        if self._left is not None:
            self._left -= 1


def run_import(
    rollbook: RecordingRollbook,
    file: Path,
    options: ImportOptions,
    rejected_rows: RejectedRows | None = None,
    stop_after: int | None = None,
) -> Checkpoint:
    """Import the file in chunks of five users, from its checkpoint; stop after some jobs."""
    keep = CheckpointFile(file)
    state = keep.load() or Checkpoint(fingerprint=fingerprint(file, options), started=STARTED, chunk_users=5)
    sink = Stopping(rollbook, stop_after)
    return import_users(sink, file, options, state, checkpoint_file=keep, rejected_rows=rejected_rows or RejectedRows())
