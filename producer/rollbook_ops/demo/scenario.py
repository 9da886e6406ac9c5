"""The demo: send jobs through real producers and workers, and compare what Postgres shows with the reference."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

from rollbook_ops.demo.demo_database import DemoDatabase
from rollbook_ops.demo.import_file import CHUNK_USERS, jobs_of, write_file
from rollbook_ops.demo.postgres_world import read_world
from rollbook_ops.demo.progress import JobCounts, count_jobs, count_users, missing_jobs
from rollbook_ops.devstack.exit_watch import ChildExited
from rollbook_ops.devstack.stack import LocalStack
from rollbook_ops.importers import Checkpoint, CheckpointFile, FileFormat, ImportOptions, fingerprint
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.differences import Difference, difference
from rollbook_shared.reference.generator import generate_jobs
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World

_JOBS_A_USER: Final = 1 / 5
_DUPLICATE_FRACTION: Final = 0.12
_IMPORTED_AGO: Final = timedelta(days=20) // timedelta(microseconds=1)
_POLL_SECONDS: Final = 0.2
_STALLED_SECONDS: Final = 60.0
"""Without any progress for so long, the demo stops waiting. The longest delay before a retry is far shorter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What will be sent, and the result that it must have."""

    jobs: tuple[Job, ...]
    """Distinct."""
    plans: tuple[Path, ...]
    """The files with the jobs that each backend sends."""
    file: Path
    """The file that the importing backend imports."""
    invalid_lines: int
    expected: World


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of the demo."""

    jobs: int
    """Distinct jobs."""
    applied: int
    duplicates: int
    """Further deliveries of jobs that were already finished."""
    dead: int
    users: int
    """Users that exist at the end."""
    seconds: float
    """From the first job sent to the last job applied."""
    missing: tuple[str, ...]
    """Jobs that no worker has recorded."""
    difference: Difference | None

    @property
    def jobs_per_second(self) -> float:
        """Deliveries that the workers handled per second, duplicates included."""
        return (self.jobs + self.duplicates) / self.seconds if self.seconds else 0.0

    @property
    def is_good(self) -> bool:
        """Whether Postgres shows exactly what the reference computes."""
        return self.difference is None and not self.missing


def prepare_scenario(folder: Path, *, users: int, producers: int, seed: int, now: int) -> Scenario:
    """Generate the jobs, add duplicates, shuffle them, and write the files for the backends."""
    history = generate_jobs(seed=seed, users=users, jobs=int(users * _JOBS_A_USER), now=now)
    file = folder / "users.csv"
    invalid_lines = write_file(file, history.imported)
    checkpoint = Checkpoint(
        fingerprint=fingerprint(file, ImportOptions(format=FileFormat.CSV)),
        started=now - _IMPORTED_AGO,
        chunk_users=CHUNK_USERS,
    )
    CheckpointFile(file).save(checkpoint)
    jobs = (*jobs_of(history.imported, checkpoint), *history.jobs)
    plans = _write_plans(folder, history.jobs, producers, Random(seed))
    return Scenario(jobs=jobs, plans=plans, file=file, invalid_lines=invalid_lines, expected=oracle(jobs))


def run_scenario(
    stack: LocalStack, scenario: Scenario, on_progress: Callable[[JobCounts], None] = lambda counts: None
) -> Report:
    """Send everything, wait until all is applied, and compare.

    `on_progress` is called with the counts whenever they have changed.

    Raises:
        ChildExited: a worker, a server or a producer ended unexpectedly.
    """
    database = DemoDatabase(stack.database_url, stack.schema)
    began = time.monotonic()
    module = [sys.executable, "-m", "rollbook_ops.demo.backend"]
    producers = [
        stack.spawn(f"producer-{number}", [*module, "jobs", plan]) for number, plan in enumerate(scenario.plans)
    ]
    producers.append(stack.spawn("producer-import", [*module, "import", scenario.file]))
    counts = _wait_until_applied(stack, database, producers, len(scenario.jobs), on_progress)
    seconds = time.monotonic() - began
    report = Report(
        jobs=len(scenario.jobs),
        applied=counts.applied,
        duplicates=counts.duplicates,
        dead=counts.dead,
        users=count_users(database),
        seconds=seconds,
        missing=tuple(missing_jobs(database, (job.id for job in scenario.jobs))),
        difference=difference(scenario.expected, read_world(database), scenario.jobs),
    )
    database.close()
    return report


def start_and_prepare(stack: LocalStack, folder: Path, *, users: int, producers: int, seed: int) -> Scenario:
    """Start the stack and prepare the scenario at the same time."""
    now = time.time_ns() // 1_000
    with ThreadPoolExecutor(1) as executor:
        scenario = executor.submit(prepare_scenario, folder, users=users, producers=producers, seed=seed, now=now)
        stack.start()
        return scenario.result()


def _write_plans(folder: Path, jobs: Sequence[Job], producers: int, chance: Random) -> tuple[Path, ...]:
    deliveries = [*jobs, *chance.sample(jobs, int(len(jobs) * _DUPLICATE_FRACTION))]
    chance.shuffle(deliveries)
    plans = tuple(folder / f"plan-{number}.jsonl" for number in range(producers))
    for number, plan in enumerate(plans):
        with plan.open("w", encoding="utf-8") as file:
            file.writelines(encode(job) + "\n" for job in deliveries[number::producers])
    return plans


def _wait_until_applied(
    stack: LocalStack,
    database: DemoDatabase,
    producers: Iterable[tuple[subprocess.Popen[bytes], Path]],
    distinct: int,
    on_progress: Callable[[JobCounts], None],
) -> JobCounts:
    running = list(producers)
    sent = 0
    last, changed = count_jobs(database), time.monotonic()
    while running or last.finished < distinct or last.deliveries < sent:
        stack.watch(_POLL_SECONDS)
        for process, log in [each for each in running if each[0].poll() is not None]:
            running.remove((process, log))
            sent += _sent_by(process, log)
        now = count_jobs(database)
        if now != last:
            last, changed = now, time.monotonic()
            on_progress(now)
        elif time.monotonic() - changed > _STALLED_SECONDS:
            break
    return last


def _sent_by(process: subprocess.Popen[bytes], log: Path) -> int:
    if process.returncode != 0:
        raise ChildExited(log.stem, f"exit code {process.returncode}", log)
    return int(json.loads(log.read_text().splitlines()[-1])["sent"])
