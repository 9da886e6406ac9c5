"""Erase one user at once: `python -m rollbook_worker.maintenance.erase ID`. Deletes the user first if needed.

Prints one JSON object: how many rows of each table were erased.
"""

from __future__ import annotations

import argparse
import json
import sys

from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import NotConfigured, RollbookError
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Delete
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore, ReceivedJob


def erase(store: PostgresStore, user_id: str, *, now: int | None = None) -> dict[str, int]:
    """Delete the user now, by Postgres' clock, and erase all that is left; return how many rows of each table.

    now: the time, in microseconds since 1970, instead of that clock's.
    """
    now = store.now() if now is None else now
    job = Delete(id=new_job_id(now), occurred_at=now, user_id=user_id)
    (outcome,) = store.apply([ReceivedJob.of(encode(job))], now=now)
    assert outcome.state is JobState.APPLIED, outcome
    return store.cleanup.erase_user(user_id, now=now + 1)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rollbook_worker.maintenance.erase", description="Erase one user at once."
    )
    parser.add_argument("user_id", help="the user's id")
    arguments = parser.parse_args()
    try:
        store = PostgresStore.from_settings(Settings.from_env())
        print(json.dumps(erase(store, arguments.user_id)))
    except (RollbookError, ValueError) as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return 2 if isinstance(error, NotConfigured) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
