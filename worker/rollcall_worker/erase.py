"""Erase one user at once: `python -m rollcall_worker.erase ID`. Deletes the user first, if that was not done.

Prints one JSON object: how many rows of each table were erased.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from rollcall_shared.codec import encode
from rollcall_shared.errors import NotConfigured, RollcallError
from rollcall_shared.jobs import Delete
from rollcall_shared.settings import Settings
from rollcall_shared.stamps import new_job_id
from rollcall_worker.store import Arrival, PostgresStore, State


def erase(store: PostgresStore, user_id: str, *, now: int) -> dict[str, int]:
    """Delete the user at `now` (in microseconds), and erase all that is left; return how many rows of each table."""
    job = Delete(id=new_job_id(now), occurred_at=now, user_id=user_id)
    (outcome,) = store.apply([Arrival.of(encode(job))], now=now)
    assert outcome.state is State.APPLIED, outcome
    return store.erase_at_once(user_id, now=now + 1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m rollcall_worker.erase", description="Erase one user at once.")
    parser.add_argument("user_id", help="the user's id")
    arguments = parser.parse_args()
    try:
        store = PostgresStore.from_settings(Settings.from_env())
        print(json.dumps(erase(store, arguments.user_id, now=time.time_ns() // 1_000)))
    except (RollcallError, ValueError) as error:
        print(f"rollcall: {error}", file=sys.stderr)
        return 2 if isinstance(error, NotConfigured) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
