"""Count the files of ours that one identify runs through, from the call to the commit, and those of one read.

    ./run python -m benchmarks.files_of_a_job

A worker with the pool of threads runs in this process, with a profile function in each of its threads: every file of
`producer/`, `worker/` and `shared/` in which a function is called is listed. The first job is not counted, for it makes
connections. `--at-most 40 9` exits with 1 if the identify or the read runs through more files than that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psycopg

from rollbook_ops.devstack import Servers

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDERS: Final = tuple(f"{ROOT / name}{os.sep}" for name in ("producer", "worker", "shared"))
WITHIN_SECONDS: Final = 30.0


class CalledFiles:
    """The files in which a function was called while `record` was entered, in any thread."""

    def __init__(self) -> None:
        self._current: set[str] | None = None
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    @contextmanager
    def record(self) -> Iterator[set[str]]:
        found: set[str] = set()
        self._current = found
        try:
            yield found
        finally:
            self._current = None

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        found = self._current
        if found is not None and event == "call" and (name := frame.f_code.co_filename).startswith(FOLDERS):
            found.add(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at-most", nargs=2, type=int, metavar=("IDENTIFY", "READ"), default=(None, None))
    arguments = parser.parse_args()
    with Servers(durable=False) as servers:
        os.environ |= {"ROLLBOOK_DATABASE_URL": servers.database_url, "ROLLBOOK_BROKER_URL": servers.broker_url}
        subprocess.run([sys.executable, "-m", "rollbook_worker.migrations"], check=True, stdout=subprocess.DEVNULL)
        identify, read = trace(servers.database_url)
    report("identify", identify)
    report("read", read)
    limits = zip((identify, read), arguments.at_most, strict=True)
    return int(any(limit is not None and len(files) > limit for files, limit in limits))


def trace(database_url: str) -> tuple[set[str], set[str]]:
    """The files of one identify, and of one read."""
    called = CalledFiles()
    from celery.signals import worker_ready
    from celery.worker import state

    from rollbook import Rollbook
    from rollbook_worker.app import app

    found: list[set[str]] = []

    def send() -> None:
        try:
            with Rollbook(database_url=database_url, broker_url=os.environ["ROLLBOOK_BROKER_URL"]) as client:
                client.users.identify("first", {"plan": "free"}, job_id="first")
                wait_for(database_url, "first")
                client.users.get("first")
                with called.record() as files:
                    client.users.identify("ann", {"plan": "pro"}, job_id="counted")
                    wait_for(database_url, "counted")
                found.append(files)
                with called.record() as files:
                    client.users.get("ann")
                # what the worker does by the clock meanwhile is not part of a read
                found.append({file for file in files if not file.startswith(str(ROOT / "worker"))})
        finally:
            state.should_stop = 0

    worker_ready.connect(lambda **_: threading.Thread(target=send).start(), weak=False)
    app.conf.worker_redirect_stdouts = False
    worker = app.Worker(
        pool="threads",
        concurrency=2,
        queues="default",
        loglevel="ERROR",
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    with suppress(SystemExit):
        worker.start()
    identify, read = found
    return identify, read


def wait_for(database_url: str, job_id: str) -> None:
    """Wait until the job is committed, without code of ours."""
    deadline = time.monotonic() + WITHIN_SECONDS
    with psycopg.connect(database_url, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM rollbook.jobs WHERE id = %s", (job_id,)).fetchone():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job {job_id} was not applied within {WITHIN_SECONDS:.0f} s")
            time.sleep(0.05)


def report(name: str, files: set[str]) -> None:
    print(f"{name}: {len(files)} files")
    for file in sorted(files):
        print(f"  {Path(file).relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
