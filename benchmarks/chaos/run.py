"""Runs a plan. First safety: jobs and faults. Then liveness: the faults stop, and all must finish in time."""

from __future__ import annotations

import heapq
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import psycopg
import redis
from benchmarks.chaos.environment import DELIVERIES, Environment
from benchmarks.chaos.faults import Fault
from benchmarks.chaos.history import History, collect_history
from benchmarks.chaos.nemesis import SERVER_ERRORS, System, Undo, inject
from benchmarks.chaos.operations import write_operations
from benchmarks.chaos.plan import Phase, Plan
from benchmarks.chaos.supervisor import Supervisor

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.exit_watch import last_lines

_IDLE_CHECKS: Final = 4
"""Checks in a row that must find nothing. With Celery's own transport a message that a worker has just taken is briefly
nowhere, so the checks go on for more than a second.
"""
_HURRY_CHECKS: Final = 2
"""Checks in a row that find no job; from then on deliveries wait for nothing but their senders."""
_CHECK_SECONDS: Final = 0.3
_PROGRESS_SECONDS: Final = 1.0
_STEP_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 0.5
_START_WAIT_SECONDS: Final = 15.0
"""How long a fault waits for its target to start: a process that has just started has nothing to lose."""


class RunMonitor(Protocol):
    """Receives the events of a run."""

    def check(self) -> None:
        """Called often; may raise to stop the run."""

    def on_fault(self, phase: Phase, fault: Fault) -> None:
        """A fault is injected."""

    def log(self, line: str) -> None:
        """A line for the log."""

    def on_progress(self, finished: int) -> None:
        """The number of finished jobs."""


@dataclass(kw_only=True, slots=True)
class Run:
    """The outcome of a run."""

    history: History
    seconds: float
    """From the first job until everything was done."""
    recovery_seconds: list[float]
    """Seconds from the end of each phase until everything was done."""
    overdue: list[str]
    """What was left of each phase that was not done in time."""
    faults: Counter[str]
    violations: list[str]
    """What processes did that they should not."""
    stopping_seconds: list[float]


@dataclass(slots=True)
class _Runner:
    environment: Environment
    supervisor: Supervisor
    plan: Plan
    monitor: RunMonitor
    within: float
    faults: Counter[str] = field(default_factory=Counter)
    recovery_seconds: list[float] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    producers: dict[Path, subprocess.Popen[bytes]] = field(default_factory=dict)
    checked_at: float = 0.0

    def run_phase(self, number: int, phase: Phase) -> None:
        self.monitor.log(f"phase {number + 1} ({phase.name}): {phase.seconds:.0f} s, {len(phase.faults)} faults")
        begin, began = time.time() + _RETRY_SECONDS, time.monotonic() + _RETRY_SECONDS
        for producer in phase.operations:
            self._send(number, phase, producer, begin)
        order = count()
        due: list[tuple[float, int, Fault | Undo]] = [(fault.at, next(order), fault) for fault in phase.faults]
        heapq.heapify(due)
        while due or time.monotonic() - began < phase.seconds:
            self.step()
            while due and due[0][0] <= time.monotonic() - began:
                at, _, what = heapq.heappop(due)
                if (
                    isinstance(what, Fault)
                    and not self.supervisor.is_ready(what.target)
                    and at - what.at < _START_WAIT_SECONDS
                ):
                    heapq.heappush(due, (at + _RETRY_SECONDS, next(order), what))
                    continue
                again = self._begin(phase, what) if isinstance(what, Fault) else self._end(what)
                if again is not None:
                    after = what.duration if isinstance(what, Fault) else _RETRY_SECONDS
                    heapq.heappush(due, (at + after, next(order), again))
        self._wait_until_done(phase)

    def step(self) -> None:
        time.sleep(_STEP_SECONDS)
        self.monitor.check()
        self.supervisor.supervise()
        if time.monotonic() - self.checked_at > _PROGRESS_SECONDS:
            self.checked_at = time.monotonic()
            self.monitor.on_progress(self._finished())

    def _begin(self, phase: Phase, fault: Fault) -> Undo | None:
        self.monitor.on_fault(phase, fault)
        try:
            undo = inject(System(self.environment, self.supervisor), fault)
        except SERVER_ERRORS as error:
            self.monitor.log(f"{fault.kind} could not be injected: {type(error).__name__}")
            return None
        self.faults[fault.kind] += 1
        return undo

    def _end(self, undo: Undo) -> Undo | None:
        """Undo a fault. If that fails, return what to try again."""
        try:
            undo()
        except SERVER_ERRORS as error:
            self.monitor.log(f"a fault could not be undone: {type(error).__name__}")
            return undo
        return None

    def _send(self, number: int, phase: Phase, producer: str, begin: float) -> None:
        folder = self.environment.folder
        operations, journal = folder / f"{number}-{producer}.plan", folder / f"{number}-{producer}.journal"
        write_operations(operations, phase.operations[producer])
        method = next((each for each in ("outbox", "http") if each in producer), "direct")
        with self.environment.place(producer):
            self.producers[journal] = processes.spawn(
                [sys.executable, "-m", "benchmarks.chaos.producer", method, operations, journal, str(begin)],
                log=folder / f"{number}-{producer}.log",
                env=self.environment.variables(producer),
            )

    def _wait_until_done(self, phase: Phase) -> None:
        """Wait until everything is done."""
        since = time.monotonic()
        idle_checks, checks_without_jobs, left = 0, 0, {}
        while idle_checks < _IDLE_CHECKS and time.monotonic() - since < self.within:
            self.step()
            time.sleep(_CHECK_SECONDS)
            left = self._left()
            checks_without_jobs = 0 if left.keys() - {DELIVERIES} else checks_without_jobs + 1
            if checks_without_jobs >= _HURRY_CHECKS:
                self._hurry_deliveries(unknown_recipients=checks_without_jobs == _HURRY_CHECKS)
            idle_checks = idle_checks + 1 if checks_without_jobs > _HURRY_CHECKS and not left else 0
        if left:
            self.overdue.append(f"{self.within:.0f} s after the faults of phase {phase.name}: {left}")
        for journal, process in self.producers.items():
            if status := process.poll():
                log = last_lines(journal.with_suffix(".log"))
                self.supervisor.violations.append(f"a producer ended with exit code {status}:\n{log}")
        self.recovery_seconds.append(time.monotonic() - since - _IDLE_CHECKS * _CHECK_SECONDS)

    def _left(self) -> dict[str, int]:
        """What is not done yet: place -> number."""
        try:
            left = {place: number for place, number in self.environment.backlog().items() if number}
        except (psycopg.Error, redis.RedisError) as error:
            left = {type(error).__name__: 1}
        if running := sum(process.poll() is None for process in self.producers.values()):
            left["producers"] = running
        return left

    def _hurry_deliveries(self, *, unknown_recipients: bool) -> None:
        try:
            self.environment.hurry_deliveries(unknown_recipients=unknown_recipients)
        except psycopg.Error as error:
            self.monitor.log(f"deliveries were not hurried: {type(error).__name__}")

    def _finished(self) -> int:
        try:
            with self.environment.connect() as connection:
                (number,) = connection.execute("SELECT count(*) FROM rollbook.jobs").fetchone() or (0,)
                return int(number)
        except psycopg.Error:
            return 0


def run(
    environment: Environment,
    supervisor: Supervisor,
    make_plan: Callable[[int], Plan],
    monitor: RunMonitor,
    *,
    within: float,
) -> Run:
    """Start all processes, run every phase, and collect the history. `make_plan` gets the start time. Everything must
    be done `within` seconds after the faults of each phase.
    """
    supervisor.start()
    plan = make_plan(time.time_ns() // 1_000)
    runner = _Runner(environment, supervisor, plan, monitor, within)
    began = time.monotonic()
    try:
        for number, phase in enumerate(plan.phases):
            runner.run_phase(number, phase)
        seconds = time.monotonic() - began
    finally:
        supervisor.stop()
        for process in runner.producers.values():
            processes.kill(process)
    return Run(
        history=collect_history(environment, plan, runner.producers),
        seconds=seconds,
        recovery_seconds=runner.recovery_seconds,
        overdue=runner.overdue,
        faults=runner.faults,
        violations=supervisor.violations,
        stopping_seconds=supervisor.stopping_seconds,
    )
