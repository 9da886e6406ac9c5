"""The demo: play a life through real producers and workers, and hold what Postgres shows against the reference."""

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

from rollbook.queries.connections import Database
from rollbook_ops.demo.import_file import CHUNK_USERS, jobs_of, write_file
from rollbook_ops.demo.postgres_world import read_world
from rollbook_ops.demo.progress import Counts, count, count_users, unfinished
from rollbook_ops.devstack.children import ChildDied
from rollbook_ops.devstack.stack import LocalStack
from rollbook_ops.importers import Format, Import, Options, StateFile, fingerprint
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.differences import Difference, difference
from rollbook_shared.reference.generator import generate_jobs
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World

_JOBS_A_USER: Final = 1 / 5
_DUPLICATED: Final = 0.12
_IMPORTED_AGO: Final = timedelta(days=20) // timedelta(microseconds=1)
_LOOK_EVERY: Final = 0.2
# Seconds without any progress after which it is over: a job's longest pause before a retry is far shorter.
_PATIENCE: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """All that will be played, and what must come of it."""

    jobs: tuple[Job, ...]
    """Distinct."""
    plans: tuple[Path, ...]
    """For each backend, the jobs to send."""
    file: Path
    """For the backend that imports."""
    bad_lines: int
    expected: World


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """How it went."""

    jobs: int
    """Distinct jobs."""
    applied: int
    duplicates: int
    """Further deliveries of jobs that were decided already."""
    dead: int
    users: int
    """Users there are at the end."""
    seconds: float
    """From the first job sent to the last one applied."""
    missing: tuple[str, ...]
    """Jobs that the workers have said nothing of."""
    difference: Difference | None

    @property
    def jobs_per_second(self) -> float:
        """Jobs that the workers took, duplicates included."""
        return (self.jobs + self.duplicates) / self.seconds if self.seconds else 0.0

    @property
    def is_good(self) -> bool:
        """Whether Postgres shows exactly what it should."""
        return self.difference is None and not self.missing


def write_script(folder: Path, *, users: int, producers: int, seed: int, now: int) -> Script:
    """Make up the life, shuffle it with duplicates, and write down who sends what."""
    life = generate_jobs(seed=seed, users=users, jobs=int(users * _JOBS_A_USER), now=now)
    file = folder / "users.csv"
    bad_lines = write_file(file, life.imported)
    state = Import(
        fingerprint=fingerprint(file, Options(format=Format.CSV)),
        started=now - _IMPORTED_AGO,
        chunk_users=CHUNK_USERS,
    )
    StateFile(file).save(state)
    jobs = (*jobs_of(life.imported, state), *life.jobs)
    plans = _write_plans(folder, life.jobs, producers, Random(seed))
    return Script(jobs=jobs, plans=plans, file=file, bad_lines=bad_lines, expected=oracle(jobs))


def play(stack: LocalStack, script: Script, advance: Callable[[Counts], None] = lambda counts: None) -> Report:
    """Send everything, wait until all is applied, and compare.

    `advance` is told now and then how far it has come.

    Raises:
        ChildDied: a worker, a server or a producer ended that should not have.
    """
    database = Database(stack.database_url)
    began = time.monotonic()
    module = [sys.executable, "-m", "rollbook_ops.demo.backend"]
    sending = [stack.spawn(f"producer-{number}", [*module, "jobs", plan]) for number, plan in enumerate(script.plans)]
    sending.append(stack.spawn("producer-import", [*module, "import", script.file]))
    counts = _wait_until_applied(stack, database, sending, len(script.jobs), advance)
    seconds = time.monotonic() - began
    report = Report(
        jobs=len(script.jobs),
        applied=counts.applied,
        duplicates=counts.duplicates,
        dead=counts.dead,
        users=count_users(database),
        seconds=seconds,
        missing=tuple(unfinished(database, (job.id for job in script.jobs))),
        difference=difference(script.expected, read_world(database), script.jobs),
    )
    database.close()
    return report


def start_and_write(stack: LocalStack, folder: Path, *, users: int, producers: int, seed: int) -> Script:
    """Start the stack and write the script meanwhile."""
    now = time.time_ns() // 1_000
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(write_script, folder, users=users, producers=producers, seed=seed, now=now)
        stack.start()
        return writing.result()


def _write_plans(folder: Path, jobs: Sequence[Job], producers: int, chance: Random) -> tuple[Path, ...]:
    deliveries = [*jobs, *chance.sample(jobs, int(len(jobs) * _DUPLICATED))]
    chance.shuffle(deliveries)
    plans = tuple(folder / f"plan-{number}.jsonl" for number in range(producers))
    for number, plan in enumerate(plans):
        with plan.open("w", encoding="utf-8") as file:
            file.writelines(encode(job) + "\n" for job in deliveries[number::producers])
    return plans


def _wait_until_applied(
    stack: LocalStack,
    database: Database,
    sending: Iterable[tuple[subprocess.Popen[bytes], Path]],
    distinct: int,
    advance: Callable[[Counts], None],
) -> Counts:
    sending = list(sending)
    sent = 0
    last, changed = count(database), time.monotonic()
    while sending or last.decided < distinct or last.deliveries < sent:
        stack.watch(_LOOK_EVERY)
        for process, log in [each for each in sending if each[0].poll() is not None]:
            sending.remove((process, log))
            sent += _sent_by(process, log)
        now = count(database)
        if now != last:
            last, changed = now, time.monotonic()
            advance(now)
        elif time.monotonic() - changed > _PATIENCE:
            break
    return last


def _sent_by(process: subprocess.Popen[bytes], log: Path) -> int:
    if process.returncode != 0:
        raise ChildDied(log.stem, f"exit code {process.returncode}", log)
    return int(json.loads(log.read_text().splitlines()[-1])["sent"])
