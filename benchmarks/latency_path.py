"""Where the time of one `identify` goes, from the call until a reader sees the user.

    ./run python -m benchmarks.latency_path [--load 0] [--seconds 5] [--rounds 3] [--json]

Probes are sent one after the other, as `p50_ms` of `./run bench` does it, and each station notes the time at which it
is passed: of `rollbook worker` as docker-compose.yml starts it, and of two that bound it:

- `bare` is a process without Celery, its loop, events and threads. It is woken, claims, applies and acknowledges by the
  same code of ours, one job at a time.
- `stock` is stock Celery with one upsert a task, of which only the whole is known.

Of each round the half of the probes counts whose whole time is nearest to the median, and of these the mean, so that
the parts add up to the whole. `--load` is how many other jobs a second arrive meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.bench.contenders import Contender
from benchmarks.bench.contenders.rollbook import RollbookSingle, documented_command
from benchmarks.bench.contenders.stock_celery import StockCelery
from benchmarks.bench.environment import Environment
from benchmarks.bench.experiments.latency import probe
from benchmarks.bench.users import UserRecord
from rich.console import Console
from rich.table import Table

NAMES: Final = ("worker", "bare", "stock")
KNOWN: Final = 10_000
"""Users in the table at the start."""
_WARM_UP_SECONDS: Final = 2.0
_MARKS: Final = "LATENCY_PATH_MARKS"
"""Environment variable of a worker: the file for its stations."""
_STATIONS: Final = {
    "woken": "send the job, and wake a worker",
    "claimed": "claim it",
    "taken": "deliver it, and hand it to a thread",
    "begin": "decode it, and what Celery does for a task",
    "began": "statement: begin, and the clock",
    "write": "the rows",
    "written": "statement: enter the job, and upsert the user",
    "commit": "whether that was all",
    "committed": "commit",
    "seen": "the reader sees it",
}
"""A station -> what lies between the one before it and itself."""

Times = dict[str, float]
"""What lies before each station -> milliseconds."""


def main() -> None:
    """Measure all three, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency_path", description=__doc__.splitlines()[0])
    parser.add_argument("--load", type=float, default=0.0, help="other jobs a second (0)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round (5)")
    parser.add_argument("--rounds", type=int, default=3, help="in which all have their turn, in random order (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    with Environment() as environment:
        found = measure(environment, given.load, given.seconds, given.rounds)
    print(json.dumps(found)) if given.json else _show(found)


def measure(
    environment: Environment, load: float, seconds: float, rounds: int, names: Sequence[str] = NAMES
) -> dict[str, Times]:
    """Name -> its parts, each the median of the rounds; of `stock` the whole."""
    sides: dict[str, Contender] = {name: _MAKERS[name](environment, f"path-{name}", known=KNOWN) for name in names}
    try:
        for side in sides.values():
            side.start()
        for side in sides.values():
            side.wait_until_ready()
            probe(side, _WARM_UP_SECONDS, load)
        taken: dict[str, list[Times]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in random.sample(sorted(sides.items()), len(sides)):
                whole = probe(side, seconds, load)
                parts = side.parts() if isinstance(side, _Marked) else {}
                taken[name].append(parts or {"whole": statistics.median(whole)})
        return {name: _medians(each) for name, each in taken.items()}
    finally:
        for side in sides.values():
            side.close()


class _Marks:
    """The file into which the processes of one contender write when they passed which station.

    Times are of the system's monotonic clock, which is one for all processes.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, station: str) -> None:
        os.write(self._file, f"{time.perf_counter_ns()} {station}\n".encode())

    def around(self, owner: Any, name: str, *, before: str = "", after: str = "") -> None:
        """Mark stations around each call of this function."""
        function = getattr(owner, name)

        def marked(*args: Any, **kwargs: Any) -> Any:
            if before:
                self(before)
            result = function(*args, **kwargs)
            if after:
                self(after)
            return result

        setattr(owner, name, marked)


class _Marked(RollbookSingle):
    """A worker that marks its stations."""

    program: str = "worker"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._path = self.environment.folder / f"{self.name}.marks"
        self._marks = _Marks(str(self._path))

    def commands(self) -> Mapping[str, Sequence[str]]:
        _, command, *options = documented_command(self.queue)
        if command != "worker":
            raise ValueError("docker-compose.yml does not start workers by `rollbook worker`")
        program = [sys.executable, "-m", "benchmarks.latency_path", self.program, *options]
        return {host: [*program, f"--hostname={host}"] for host in self._hosts}

    def variables(self) -> Mapping[str, str]:
        return {**super().variables(), _MARKS: str(self._path)}

    def send(self, user: UserRecord) -> None:
        self._marks("called")
        super().send(user)

    def read_visit(self, user_id: str) -> int | None:
        if (found := super().read_visit(user_id)) is not None:
            self._marks("seen")
        return found

    def parts(self) -> Times:
        """What the probes since the last call took, by part."""
        marks = sorted((int(at), station) for at, station in (line.split(" ", 1) for line in _lines(self._path)))
        probes = [times for times in _probes(marks) if len(times) == 1 + len(_STATIONS)]
        if not probes:
            raise ValueError("no probe passed all stations alone")
        probes.sort(key=lambda times: times["seen"] - times["called"])
        middle = probes[len(probes) // 4 : -(len(probes) // 4) or None]
        stations = ["called", *_STATIONS]
        return {
            station: statistics.fmean((times[station] - times[before]) / 1e6 for times in middle)
            for before, station in pairwise(stations)
        }


class _Bare(_Marked):
    """The same without Celery."""

    program = "bare"

    def is_listening(self) -> bool:
        return True  # the first job shows it


_MAKERS: Final[Mapping[str, Callable[..., Contender]]] = {
    "worker": partial(_Marked, workers=1),
    "bare": partial(_Bare, workers=1),
    "stock": partial(StockCelery, task="upsert", processes=8),
}


def _lines(path: Path) -> list[str]:
    """The lines of the file, which is empty afterwards."""
    lines = path.read_text().splitlines()
    os.truncate(path, 0)
    return lines


def _probes(marks: Sequence[tuple[int, str]]) -> list[dict[str, int]]:
    """The stations of each probe, each with its first time after the one before it."""
    probes: list[dict[str, int]] = []
    stations = list(_STATIONS)
    for at, station in marks:
        if station == "called":
            probes.append({"called": at})
        elif probes and len(probes[-1]) <= len(stations) and station == stations[len(probes[-1]) - 1]:
            probes[-1][station] = at
    return probes


def _medians(rounds: Sequence[Times]) -> Times:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def _show(found: Mapping[str, Times]) -> None:
    table = Table("", *found, title="milliseconds")
    for station, part in _STATIONS.items():
        table.add_row(part, *(f"{times[station]:.2f}" if station in times else "" for times in found.values()))
    table.add_row("the whole", *(f"{sum(times.values()):.2f}" for times in found.values()), style="bold")
    Console().print(table)


# What runs in the workers.


def _mark_store(marks: _Marks) -> None:
    """Mark the stations of a transaction."""
    import psycopg

    from rollbook_worker.store.transactions import Transactions

    execute = psycopg.Cursor.execute
    here = threading.local()

    def marked(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        text = str(query)
        before, after = ("begin", "began") if "BEGIN" in text else ("write", "written")
        if not getattr(here, "applies", False):
            return execute(cursor, query, *args, **options)
        marks(before)
        result = execute(cursor, query, *args, **options)
        marks(after)
        return result

    run = Transactions.run_locking

    def run_marked(*args: Any, **options: Any) -> Any:
        here.applies = True
        try:
            return run(*args, **options)
        finally:
            here.applies = False

    psycopg.Cursor.execute = marked  # type: ignore[method-assign,assignment]
    Transactions.run_locking = run_marked  # type: ignore[method-assign]
    marks.around(psycopg.Connection, "commit", before="commit", after="committed")


def _run_worker(marks: _Marks, options: Sequence[str]) -> None:
    from rollbook_worker.celery_ext.batching import runner
    from rollbook_worker.celery_ext.transport.channel import LeasedChannel
    from rollbook_worker.command_line import main as work

    _mark_store(marks)
    marks.around(LeasedChannel, "_brpop_read", before="woken")
    marks.around(LeasedChannel, "claim", after="claimed")
    marks.around(runner, "execute", before="taken")
    work(options)


def _run_bare(marks: _Marks) -> None:
    """Claim, apply and acknowledge, one job after the other."""
    from rollbook_shared.settings import Settings
    from rollbook_worker.app import make_app
    from rollbook_worker.celery_ext.transport.poller import subscribe, track_reads
    from rollbook_worker.celery_ext.transport.queue_scripts import ScriptConnection
    from rollbook_worker.process_store import process_store
    from rollbook_worker.store.received_jobs import ReceivedJob

    _mark_store(marks)
    settings = Settings.from_env()
    store = process_store(settings)
    with make_app(settings).connection_for_read() as connection:
        channel: Any = connection.default_channel
        scripts, listener, claiming = channel.qos.scripts, channel.pool.get_connection(), ScriptConnection(channel.pool)
        track_reads(claiming, notify=subscribe(listener))
        acks: list[str] = []
        while True:
            claim = scripts.claim(claiming, ["default"], room=1, allow_suspect=True, acks=acks)
            acks = [message.tag for message in claim.messages]
            if not claim.messages:
                while not listener.can_read(timeout=1.0):
                    pass
                marks("woken")
                listener.read_response()
                continue
            marks("claimed")
            marks("taken")
            for message in claim.messages:
                (job,), _, _ = json.loads(message.envelope()["body"])
                store.apply([ReceivedJob.of(job)])


_PROGRAMS: Final[Mapping[str, Callable[[_Marks, Sequence[str]], None]]] = {
    "worker": _run_worker,
    "bare": lambda marks, options: _run_bare(marks),
}

if __name__ == "__main__":
    if _MARKS in os.environ:
        _PROGRAMS[sys.argv[1]](_Marks(os.environ[_MARKS]), sys.argv[2:])
    else:
        main()
