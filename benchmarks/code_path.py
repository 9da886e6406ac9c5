"""How many of our files one `identify` runs through, from the call to the commit, and one `users.get`.

    ./run python -m benchmarks.code_path [--files] [--json]

It starts servers and one worker (a pool of threads, as docker-compose.yml has it), and traces in both processes which
Python functions of ours are called. It traces several of each, when one was done before: by then every module is
imported and every connection is open. What counts is what all of them ran through: a timer of the worker's loop, such
as the one that reports that it lives, may fire during one of them, and belongs to none. It prints the number of files,
and the number in each package; `--files` lists the files, and those that not all ran through. The exit code is 1 if a
goal is missed: at most 40 files for the identify, 9 for the read.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

import psycopg
import yaml

from rollbook import Rollbook
from rollbook_ops.devstack import Servers, processes

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = tuple(f"{ROOT / folder}{os.sep}" for folder in ("producer", "worker", "shared"))
GOALS: Final = {"identify": 40, "users.get": 9}
ROUNDS: Final = 5
_TIMEOUT_SECONDS: Final = 60.0
_STOPPING_SECONDS: Final = 30.0
_TRACE: Final = "CODE_PATH_TRACE"
"""Environment variable of the worker: the file into which it writes what it recorded."""


class Recorder:
    """Records the calls of our functions in all threads, and when transactions were committed.

    Times are of the system's monotonic clock, which is one for all processes.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []
        self.commits: list[float] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """See `sys.setprofile`."""
        code = frame.f_code
        if event == "call":
            # neither modules nor class bodies: those run once, when they are imported
            if code.co_filename.startswith(PACKAGES) and code.co_flags & inspect.CO_OPTIMIZED:
                self.calls.append((time.monotonic(), code.co_filename))
        elif event == "return" and code.co_name == "_commit_gen" and "psycopg" in code.co_filename:
            self.commits.append(time.monotonic())

    def start(self) -> None:
        """Record this thread, and those that start from now on."""
        threading.setprofile(self)
        sys.setprofile(self)

    def stop(self) -> None:
        """Record nothing any more in this thread."""
        threading.setprofile(None)
        sys.setprofile(None)

    def files(self) -> set[str]:
        """The files that were run through, relative to the repository."""
        return {os.path.relpath(name, ROOT) for _, name in self.calls}


def main() -> int:
    """Trace both, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.code_path", description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="list the files")
    parser.add_argument("--json", action="store_true", help="print one JSON object: the files of each")
    given = parser.parse_args()
    with Servers() as servers:
        environment = os.environ | {"ROLLBOOK_DATABASE_URL": servers.database_url}
        subprocess.run([_program("rollbook"), "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
        found = trace(servers.broker_url, servers.database_url)
    if given.json:
        print(json.dumps({name: sorted(path.files) for name, path in found.items()}, indent=2))
    else:
        _show(found, with_files=given.files)
    return int(any(len(path.files) > GOALS[name] for name, path in found.items()))


@dataclass(frozen=True, slots=True)
class CodePath:
    """The `files` that each call ran through, and those that only `some` did."""

    files: set[str]
    some: set[str]

    @classmethod
    def of(cls, rounds: Sequence[set[str]]) -> Self:
        files = set.intersection(*rounds)
        return cls(files, set.union(*rounds) - files)


def trace(broker_url: str, database_url: str) -> dict[str, CodePath]:
    """The files that identifies and reads run through, on these servers. The database has the tables."""
    urls = {"ROLLBOOK_BROKER_URL": broker_url, "ROLLBOOK_DATABASE_URL": database_url}
    with tempfile.TemporaryDirectory() as folder:
        worker = _Worker(Path(folder), os.environ | urls)
        rb = Rollbook.from_env(urls)
        try:
            rb.users.identify("ann", {"plan": "free"}).wait(_TIMEOUT_SECONDS)
            rb.users.get("ann")
            identifies = [_identify(rb, database_url, plan) for plan in map(str, range(ROUNDS))]
            reads = [_read(rb) for _ in range(ROUNDS)]
        finally:
            rb.close()
            recorded = worker.stop()
    written = [client.files() | _until_commit(recorded, began, seen) for client, began, seen in identifies]
    return {"identify": CodePath.of(written), "users.get": CodePath.of(reads)}


def _read(rb: Rollbook) -> set[str]:
    read = Recorder()
    read.start()
    rb.users.get("ann")
    read.stop()
    return read.files()


def _identify(rb: Rollbook, database_url: str, plan: str) -> tuple[Recorder, float, float]:
    """What one call runs through in the client; when it began, and when its row was seen in the database."""
    client = Recorder()
    client.start()
    began = time.monotonic()
    job = rb.users.identify("ann", {"plan": plan, "name": "Ann"})
    client.stop()
    deadline = began + _TIMEOUT_SECONDS
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute("SELECT FROM rollbook.jobs WHERE id = %s", [job.id]).fetchone() is None:
            if time.monotonic() > deadline:
                raise TimeoutError("no worker has applied the job")
            time.sleep(0.001)
    return client, began, time.monotonic()


def _until_commit(recorded: Mapping[str, Any], began: float, seen: float) -> set[str]:
    """The worker's files from the call until the last commit before the row was seen."""
    committed = max(at for at in recorded["commits"] if began < at <= seen)
    return {os.path.relpath(name, ROOT) for at, name in recorded["calls"] if began <= at <= committed}


class _Worker:
    """A worker that records itself, and writes what it recorded when it ends."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._trace = folder / "worker.json"
        services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        program, command, *options = services["default"]["command"]
        if (program, command) != ("rollbook", "worker"):
            raise ValueError(f"docker-compose.yml starts workers by {program} {command}, not by rollbook worker")
        traced = [sys.executable, "-m", "benchmarks.code_path", *options]
        env = {**environment, _TRACE: str(self._trace)}
        self._process = processes.spawn(traced, log=folder / "worker.log", env=env, cwd=ROOT)

    def stop(self) -> dict[str, Any]:
        """End it, and return what it recorded."""
        self._process.terminate()
        self._process.wait(_STOPPING_SECONDS)
        recorded: dict[str, Any] = json.loads(self._trace.read_text())
        return recorded


def run_worker() -> None:
    """Run a worker with the arguments of this process, and record it."""
    from rollbook_worker.command_line import main as work

    recorder = Recorder()
    recorder.start()
    try:
        work(sys.argv[1:])
    finally:
        recorder.stop()
        found = {"calls": recorder.calls, "commits": recorder.commits}
        Path(os.environ[_TRACE]).write_text(json.dumps(found))


def _show(found: Mapping[str, CodePath], *, with_files: bool) -> None:
    for name, path in found.items():
        files = sorted(path.files)
        print(f"{name}: {len(files)} files (goal: at most {GOALS[name]})")
        for package, count in sorted(Counter(map(os.path.dirname, files)).items()):
            print(f"  {count:3} {package}")
            if with_files:
                print(*(f"        {Path(file).name}" for file in files if os.path.dirname(file) == package), sep="\n")
        if with_files and path.some:
            print("  beside some of them", *sorted(path.some), sep="\n      ")


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    if _TRACE in os.environ:
        run_worker()
    else:
        sys.exit(main())
