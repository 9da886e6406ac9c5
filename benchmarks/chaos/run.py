"""Lets a plan happen. First safety: jobs and faults. Then liveness: the faults stop, and all must be done in time."""

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
from benchmarks.chaos.blows import UNREACHED, Struck, Undo, strike
from benchmarks.chaos.crew import Crew
from benchmarks.chaos.evidence import Evidence, gather
from benchmarks.chaos.plan import Act, Plan
from benchmarks.chaos.schedule import Fault
from benchmarks.chaos.sendings import write_sendings
from benchmarks.chaos.stage import Stage

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.children import last_lines

_QUIET_LOOKS: Final = 8
"""So often in a row nothing must be left: a message that a worker has just taken is nowhere for a moment."""
_LOOK_EVERY: Final = 0.3
_TURN: Final = 0.02
_AGAIN_AFTER: Final = 0.5
_WAITED_FOR: Final = 15.0
"""Seconds that a fault waits for what it strikes to have started: one that holds nothing yet has nothing to lose."""


class MaintenanceMonitor(Protocol):
    """Who is told how it goes."""

    def check(self) -> None:
        """Called often; may raise to end the run."""

    def fault(self, act: Act, fault: Fault) -> None:
        """It happens now."""

    def said(self, line: str) -> None:
        """Something worth telling."""

    def progress(self, decided: int) -> None:
        """So many jobs are decided."""


@dataclass(kw_only=True, slots=True)
class Run:
    """How it went."""

    evidence: Evidence
    seconds: float
    """From the first job sent until nothing was left."""
    drains: list[float]
    """Seconds after the faults of each act until nothing was left."""
    overdue: list[str]
    """Of each act that was not done in time, what was left of it."""
    faults: Counter[str]
    troubles: list[str]
    """Promises that were broken, beside what the tables show."""
    stopping_seconds: list[float]


@dataclass(slots=True)
class _Stagehand:
    stage: Stage
    crew: Crew
    plan: Plan
    watching: MaintenanceMonitor
    within: float
    faults: Counter[str] = field(default_factory=Counter)
    drains: list[float] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)
    producers: dict[Path, subprocess.Popen[bytes]] = field(default_factory=dict)
    looked: float = 0.0

    def perform(self, number: int, act: Act) -> None:
        self.watching.said(f"act {number + 1} ({act.name}): {act.seconds:.0f} s, {len(act.faults)} faults")
        begin, began = time.time() + _AGAIN_AFTER, time.monotonic() + _AGAIN_AFTER
        for producer in act.sendings:
            self._send(number, act, producer, begin)
        order = count()
        due: list[tuple[float, int, Fault | Undo]] = [(fault.at, next(order), fault) for fault in act.faults]
        heapq.heapify(due)
        while due or time.monotonic() - began < act.seconds:
            self.tend()
            while due and due[0][0] <= time.monotonic() - began:
                at, _, what = heapq.heappop(due)
                if isinstance(what, Fault) and not self.crew.is_ready(what.target) and at - what.at < _WAITED_FOR:
                    heapq.heappush(due, (at + _AGAIN_AFTER, next(order), what))
                    continue
                again = self._begin(act, what) if isinstance(what, Fault) else self._end(what)
                if again is not None:
                    after = what.lasts if isinstance(what, Fault) else _AGAIN_AFTER
                    heapq.heappush(due, (at + after, next(order), again))
        self._settle(act)

    def tend(self) -> None:
        time.sleep(_TURN)
        self.watching.check()
        self.crew.tend()
        if time.monotonic() - self.looked > _LOOK_EVERY:
            self.looked = time.monotonic()
            self.watching.progress(self._decided())

    def _begin(self, act: Act, fault: Fault) -> Undo | None:
        self.watching.fault(act, fault)
        try:
            undo = strike(Struck(self.stage, self.crew), fault)
        except UNREACHED as error:
            self.watching.said(f"{fault.kind} could not be dealt: {type(error).__name__}")
            return None
        self.faults[fault.kind] += 1
        return undo

    def _end(self, undo: Undo) -> Undo | None:
        """Take a fault back; if that fails, it is to be tried again."""
        try:
            undo()
        except UNREACHED as error:
            self.watching.said(f"a fault could not be taken back: {type(error).__name__}")
            return undo
        return None

    def _send(self, number: int, act: Act, producer: str, begin: float) -> None:
        folder = self.stage.folder
        sendings, journal = folder / f"{number}-{producer}.plan", folder / f"{number}-{producer}.journal"
        write_sendings(sendings, act.sendings[producer])
        way = "outbox" if "outbox" in producer else "direct"
        self.producers[journal] = processes.spawn(
            [sys.executable, "-m", "benchmarks.chaos.producer", way, sendings, journal, str(begin)],
            log=folder / f"{number}-{producer}.log",
            env=self.stage.environment(producer),
        )

    def _settle(self, act: Act) -> None:
        """Wait until nothing is left."""
        since = time.monotonic()
        quiet, left = 0, {}
        while quiet < _QUIET_LOOKS and time.monotonic() - since < self.within:
            self.tend()
            time.sleep(_LOOK_EVERY)
            try:
                left = {place: number for place, number in self.stage.backlog().items() if number}
            except (psycopg.Error, redis.RedisError) as error:
                left = {type(error).__name__: 1}
            if sending := sum(process.poll() is None for process in self.producers.values()):
                left["producers"] = sending
            quiet = 0 if left else quiet + 1
        if left:
            self.overdue.append(f"{self.within:.0f} s after the faults of act {act.name}: {left}")
        for journal, process in self.producers.items():
            if status := process.poll():
                said = last_lines(journal.with_suffix(".log"))
                self.crew.troubles.append(f"a producer ended with exit code {status}:\n{said}")
        self.drains.append(time.monotonic() - since - _QUIET_LOOKS * _LOOK_EVERY)

    def _decided(self) -> int:
        try:
            with self.stage.connect() as connection:
                (number,) = connection.execute("SELECT count(*) FROM rollbook.jobs").fetchone() or (0,)
                return int(number)
        except psycopg.Error:
            return 0


def run(
    stage: Stage, crew: Crew, make_plan: Callable[[int], Plan], watching: MaintenanceMonitor, *, within: float
) -> Run:
    """Start the crew, perform every act, and gather what came of it. `make_plan` is given the beginning; nothing may be
    left `within` seconds after the faults of each act.
    """
    crew.start()
    plan = make_plan(time.time_ns() // 1_000)
    hand = _Stagehand(stage, crew, plan, watching, within)
    began = time.monotonic()
    try:
        for number, act in enumerate(plan.acts):
            hand.perform(number, act)
        seconds = time.monotonic() - began
    finally:
        crew.stop()
        for process in hand.producers.values():
            processes.kill(process)
    return Run(
        evidence=gather(stage, plan, hand.producers),
        seconds=seconds,
        drains=hand.drains,
        overdue=hand.overdue,
        faults=hand.faults,
        troubles=crew.troubles,
        stopping_seconds=crew.stopping_seconds,
    )
