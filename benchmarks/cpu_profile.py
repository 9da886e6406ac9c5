"""Where the processor time of one path goes: microseconds by component that add up to the whole, and a flame graph.

    python -m benchmarks.cpu_profile single|bulk|trigger|merge|read [--jobs 8000] [--rounds 3] [--flame FILE] [--json]

`single`, `bulk`, `trigger` and `merge` look at one warm worker, started with the documented command, with all jobs
waiting for it; `read` looks at a client that reads users. First the processor time of the process, of Postgres and of
Valkey is measured without a profiler, and of the process by thread: the main one, which is Celery's event loop in a
worker, and the others, which apply batches. Then py-spy (`pip install py-spy`) looks at the stacks many times a second,
and the shares of a thread divide its time. A stack counts for the innermost frame that belongs to a component: what the
standard library does counts for its caller. Stacks that wait do not count.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import psutil
from benchmarks.bench.contenders.rollbook import RollbookBulk, RollbookSingle
from benchmarks.bench.environment import ROOT, Environment
from benchmarks.bench.users import known_id, make_users
from benchmarks.worker_scaling import is_done, processor_seconds
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers

KNOWN: Final = 10_000
"""Users in the table at the start."""
RECIPIENTS: Final = 10
"""Of one trigger."""
SAMPLES_A_SECOND: Final = 1_000
_WARM_UP: Final = 1_000
_WITHIN_SECONDS: Final = 300.0
_guests: Final = count()

COMPONENTS: Final = (
    ("our transport", "/rollbook_worker/celery_ext/transport/"),
    ("our batches", "/rollbook_worker/celery_ext/"),
    ("our store", "/rollbook_worker/store/"),
    ("our rules (core)", "/rollbook_worker/core/"),
    ("our notices of feeds and deliveries", "/rollbook_worker/feed_changes/"),
    ("our notices of feeds and deliveries", "/rollbook_worker/due_deliveries"),
    ("our notices of feeds and deliveries", "/rollbook_worker/pubsub_channel"),
    ("our traces and metrics", "/rollbook_worker/observability/"),
    ("our traces and metrics", "/rollbook_shared/observability/"),
    ("our tasks", "/rollbook_worker/"),
    ("our jobs, limits, and database", "/rollbook_shared/"),
    ("our client", "/producer/rollbook/"),
    ("kombu", "/kombu/"),
    ("Celery", "/celery/"),
    ("redis-py", "/redis/"),
    ("psycopg", "/psycopg"),
    ("SQLAlchemy", "/sqlalchemy/"),
    ("pydantic", "/pydantic"),
    ("OpenTelemetry", "/opentelemetry/"),
)
"""A component, and what the file of its frames contains; the first counts."""
OTHER: Final = "other"
MAIN, OTHERS = "main thread", "other threads"
_WAITS: Final = re.compile(r"(?:[\w.]+\.)?(?:wait|poll|select|acquire|_worker|read_from_socket) \([^()]*\)$")
"""The innermost frame of a stack that waits."""
_BEGIN_OF_THREAD: Final = "_bootstrap "

_READER: Final = """
import sys
from rollbook import Rollbook
rb = Rollbook(database_url=sys.argv[1])
for line in sys.stdin:
    for number in range(int(line)):
        rb.users.get(f"k-{number % int(sys.argv[2]):08}")
    print("done", flush=True)
"""


@dataclass(frozen=True, slots=True)
class WorkerPath:
    """Jobs that a worker applies."""

    contender: type[RollbookSingle]
    stage: Callable[[RollbookSingle, int], None]
    """Send so many units to the waiting room."""
    unit: str


def _stage_identifies(contender: RollbookSingle, number: int) -> None:
    contender.stage(make_users(number, known=contender.known))


def _stage_triggers(contender: RollbookSingle, number: int) -> None:
    data = {"text": "something of the usual length happened"}
    for first in range(0, number * RECIPIENTS, RECIPIENTS):
        recipients = [known_id(each % KNOWN) for each in range(first, first + RECIPIENTS)]
        contender.waiting_rollbook.workflows.trigger("comment", recipients, data=data, channels=["in_app", "email"])


def _stage_merges(contender: RollbookSingle, number: int) -> None:
    for _ in range(number):
        guest = next(_guests)
        contender.waiting_rollbook.users.merge(known_id(guest % KNOWN), f"guest-{guest}")


PATHS: Final = {
    "single": WorkerPath(RollbookSingle, _stage_identifies, "identify"),
    "bulk": WorkerPath(RollbookBulk, _stage_identifies, "user in bulk jobs of 100"),
    "trigger": WorkerPath(RollbookSingle, _stage_triggers, f"trigger of {RECIPIENTS} recipients and two channels"),
    "merge": WorkerPath(RollbookSingle, _stage_merges, "merge of a guest"),
}
READ: Final = "read"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: runs of it, and the processes that take part."""

    unit: str
    processes: dict[str, int]
    """Name -> process id; the first is the one whose stacks are looked at."""
    prepare: Callable[[int], None]
    """Make ready so many units of work."""
    run: Callable[[], None]
    """Do what was made ready, and wait for its end."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Microseconds of processor time a unit."""

    unit: str
    by_process: dict[str, float]
    by_component: dict[str, dict[str, float]]
    """Of the first process, by thread."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu_profile", description=__doc__.splitlines()[0])
    parser.add_argument("path", choices=[*PATHS, READ], help="the path")
    parser.add_argument("--jobs", type=int, default=8_000, help="jobs, users or reads of each measurement (8,000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements, whose median counts (3)")
    parser.add_argument("--flame", metavar="FILE", type=Path, help="also draw a flame graph, an SVG")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    if not (profiler := shutil.which("py-spy")):
        sys.exit("py-spy is not installed: pip install py-spy")
    with (
        Servers(durable=True, append_only=True) as servers,
        Environment(servers) as environment,
        _subject(given.path, servers, environment) as subject,
    ):
        profile = _measure(subject, given.jobs, given.rounds, environment.folder, profiler)
        if given.flame:
            subject.prepare(given.jobs)
            with _looking(profiler, subject, "flamegraph", given.flame.resolve()):
                subject.run()
    if given.json:
        print(json.dumps({"unit": profile.unit, "us": profile.by_process, "components": profile.by_component}))
    else:
        _show(profile)


@contextmanager
def _subject(name: str, servers: Servers, environment: Environment) -> Iterator[Subject]:
    path = PATHS.get(name, PATHS["single"])
    servers_of_all = {"Postgres": servers.postgres.pid, "Valkey": servers.valkey.pid}
    with closing(path.contender(environment, name, known=KNOWN, workers=1)) as contender:
        contender.start()
        contender.wait_until_ready()

        def apply_all() -> None:
            contender.release()
            contender.wait_for(lambda: is_done(contender), within=_WITHIN_SECONDS, what="apply everything")

        path.stage(contender, _WARM_UP)
        apply_all()
        if name != READ:
            (worker,) = (process.pid for process in contender.processes.values())
            stage = path.stage
            yield Subject(
                path.unit, {"worker": worker, **servers_of_all}, lambda number: stage(contender, number), apply_all
            )
            return
        with _reader(contender.database_url) as (pid, prepare, run):
            yield Subject("users.get", {"client": pid, **servers_of_all}, prepare, run)


@contextmanager
def _reader(database_url: str) -> Iterator[tuple[int, Callable[[int], None], Callable[[], None]]]:
    command = [sys.executable, "-c", _READER, database_url, str(KNOWN)]
    wanted = [0]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:

        def run() -> None:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the reader has no pipes")
            process.stdin.write(f"{wanted[0]}\n")
            process.stdin.flush()
            if process.stdout.readline() != "done\n":
                raise RuntimeError("the reader failed")

        def prepare(number: int) -> None:
            wanted[0] = number

        prepare(_WARM_UP)
        run()
        yield process.pid, prepare, run
        if process.stdin:
            process.stdin.close()


def _measure(subject: Subject, units: int, rounds: int, folder: Path, profiler: str) -> Profile:
    looked_at = next(iter(subject.processes.values()))
    used: dict[str, list[float]] = {name: [] for name in (*subject.processes, MAIN, OTHERS)}
    for _ in range(rounds):
        subject.prepare(units)
        before = _processor_seconds(subject, looked_at)
        subject.run()
        for name, seconds in _processor_seconds(subject, looked_at).items():
            used[name].append((seconds - before[name]) / units * 1e6)
    medians = {name: statistics.median(those) for name, those in used.items()}
    samples = {MAIN: Counter[str](), OTHERS: Counter[str]()}
    for number in range(rounds):
        subject.prepare(units)
        stacks = folder / f"stacks-{number}"
        with _looking(profiler, subject, "raw", stacks):
            subject.run()
        for thread, found in count_samples(stacks.read_text().splitlines()).items():
            samples[thread].update(found)
    # the medians of the threads need not add up to that of the process
    scale = medians[next(iter(subject.processes))] / (medians[MAIN] + medians[OTHERS])
    shares = divide({thread: medians[thread] * scale for thread in samples}, samples)
    return Profile(subject.unit, {name: medians[name] for name in subject.processes}, shares)


def _processor_seconds(subject: Subject, looked_at: int) -> dict[str, float]:
    """The processor time so far, by process, and by thread of the process that is looked at."""
    times = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(looked_at).threads()}
    main = times.pop(looked_at, 0.0)
    by_process = {name: processor_seconds([pid]) for name, pid in subject.processes.items()}
    return {**by_process, MAIN: main, OTHERS: sum(times.values())}


@contextmanager
def _looking(profiler: str, subject: Subject, form: str, file: Path) -> Iterator[None]:
    """Have py-spy look at the stacks meanwhile."""
    pid = next(iter(subject.processes.values()))
    command = [profiler, "record", "--pid", str(pid), "--rate", str(SAMPLES_A_SECOND), "--format", form]
    command += ["--output", str(file), "--full-filenames", "--duration", "600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.stdout is None or "Sampling" not in process.stdout.readline():
        raise RuntimeError("py-spy could not look at the process; it may need the right to, as root has it")
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def count_samples(stacks: Iterable[str]) -> dict[str, Counter[str]]:
    """Samples by thread and component. A line is a stack, `function (file:line);function (file:line) number`."""
    found = {MAIN: Counter[str](), OTHERS: Counter[str]()}
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";")
        if not _WAITS.fullmatch(frames[-1]):
            thread = OTHERS if any(_BEGIN_OF_THREAD in frame for frame in frames) else MAIN
            found[thread][_component(frames)] += int(number)
    return found


def divide(us: Mapping[str, float], samples: Mapping[str, Counter[str]]) -> dict[str, dict[str, float]]:
    """Divide the microseconds of each thread among its components, the largest first."""
    return {
        thread: {name: whole * number / samples[thread].total() for name, number in samples[thread].most_common()}
        for thread, whole in us.items()
        if samples[thread]
    }


def _component(frames: list[str]) -> str:
    return next((name for frame in reversed(frames) for name, part in COMPONENTS if part in frame), OTHER)


def _show(profile: Profile) -> None:
    table = Table("process, thread or component", f"us a {profile.unit}", title="processor time")
    (first, us), *others = profile.by_process.items()
    table.add_row(first, f"{us:,.1f}")
    for thread, components in profile.by_component.items():
        table.add_row(f"  {thread}", f"{sum(components.values()):,.1f}")
        for name, part in components.items():
            table.add_row(f"    {name}", f"{part:,.1f}")
    for name, us in others:
        table.add_row(name, f"{us:,.1f}")
    table.add_row("together", f"{sum(profile.by_process.values()):,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
