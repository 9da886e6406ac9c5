"""One backend of the demo, a process of its own: `python -m rollbook_ops.demo.backend jobs|import FILE`.

Its last line of output is JSON: how many jobs it sent, and how many lines of an import were rejected.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from rollbook import Rollbook
from rollbook_ops.demo.api_calls import play
from rollbook_ops.importers import Format, Import, Options, RejectedRows, StateFile, import_users
from rollbook_shared.jobs.codec import decode


class _Interrupted(Exception):
    """Stands for a Ctrl-C."""


def send_jobs(rollbook: Rollbook, plan: Path) -> int:
    """Send the jobs of a plan, one a line, and return how many."""
    sent = 0
    with plan.open(encoding="utf-8") as file:
        for line in file:
            play(rollbook, decode(line))
            sent += 1
    return sent


def import_twice(rollbook: Rollbook, source: Path) -> tuple[int, int]:
    """Import a file whose state is prepared; interrupt it half-way and go on from an older state.

    Return how many jobs were sent, those of the stretch that was sent twice included, and how many lines were rejected.
    """
    keep = StateFile(source)
    state = keep.load()
    if state is None:
        raise RuntimeError(f"{source} has no state")
    total = source.stat().st_size
    older = source.with_suffix(".older")
    sent = 0

    def interrupt(now: Import) -> None:
        nonlocal sent
        sent += 1
        if now.offset > total * 2 // 5 and not older.exists():
            shutil.copy(keep.path, older)
        if now.offset > total // 2:
            raise _Interrupted

    def count(now: Import) -> None:
        nonlocal sent
        sent += 1

    options = Options(format=Format.CSV)
    with RejectedRows() as rejected_rows:
        try:
            import_users(
                rollbook.users, source, options, state, keep=keep, rejected_rows=rejected_rows, advance=interrupt
            )
        except _Interrupted:
            shutil.copy(older, keep.path)
        state = keep.load() or state
        end = import_users(
            rollbook.users, source, options, state, keep=keep, rejected_rows=rejected_rows, advance=count
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
