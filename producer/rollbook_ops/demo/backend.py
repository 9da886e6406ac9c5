"""One backend of the demo, as a process: `python -m rollbook_ops.demo.backend jobs|import FILE`.

Its last line of output is JSON: how many jobs it sent, and how many lines of an import were rejected.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from rollbook import Rollbook
from rollbook_ops.demo.api_calls import send_job
from rollbook_ops.importers import Checkpoint, CheckpointFile, FileFormat, ImportOptions, RejectedRows, import_users
from rollbook_shared.jobs.codec import decode


class _Interrupted(Exception):
    """Takes the place of a Ctrl-C."""


def send_jobs(rollbook: Rollbook, plan: Path) -> int:
    """Send the jobs of a plan, one a line, and return how many."""
    sent = 0
    with plan.open(encoding="utf-8") as file:
        for line in file:
            send_job(rollbook, decode(line))
            sent += 1
    return sent


def import_twice(rollbook: Rollbook, source: Path) -> tuple[int, int]:
    """Import a file that has a checkpoint; interrupt the import half-way and continue from an older checkpoint.

    Return how many jobs were sent, including those that were sent twice, and how many lines were rejected.
    """
    checkpoint_file = CheckpointFile(source)
    checkpoint = checkpoint_file.load()
    if checkpoint is None:
        raise RuntimeError(f"{source} has no checkpoint")
    total = source.stat().st_size
    older = source.with_suffix(".older")
    sent = 0

    def interrupt(now: Checkpoint) -> None:
        nonlocal sent
        sent += 1
        if now.offset > total * 2 // 5 and not older.exists():
            shutil.copy(checkpoint_file.path, older)
        if now.offset > total // 2:
            raise _Interrupted

    def count(now: Checkpoint) -> None:
        nonlocal sent
        sent += 1

    options = ImportOptions(format=FileFormat.CSV)
    with RejectedRows() as rejected_rows:
        try:
            import_users(
                rollbook.users,
                source,
                options,
                checkpoint,
                checkpoint_file=checkpoint_file,
                rejected_rows=rejected_rows,
                on_progress=interrupt,
            )
        except _Interrupted:
            shutil.copy(older, checkpoint_file.path)
        checkpoint = checkpoint_file.load() or checkpoint
        end = import_users(
            rollbook.users,
            source,
            options,
            checkpoint,
            checkpoint_file=checkpoint_file,
            rejected_rows=rejected_rows,
            on_progress=count,
        )
    return sent, end.rejected


def main() -> None:
    """Do what the command line says."""
    what, file = sys.argv[1:]
    rejected = 0
    with Rollbook.from_env() as rollbook:
        if what == "import":
            sent, rejected = import_twice(rollbook, Path(file))
        else:
            sent = send_jobs(rollbook, Path(file))
    print(json.dumps({"sent": sent, "rejected": rejected}))


if __name__ == "__main__":
    main()
