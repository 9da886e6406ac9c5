"""All that will happen, from one seed: the same seed and beginning, the same plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.chaos.deliveries import Delivery, deliveries
from benchmarks.chaos.jobs import make_jobs
from benchmarks.chaos.kinds import ONLY_BEFORE, ONLY_WITH_OUTBOX
from benchmarks.chaos.schedule import Fault, schedule
from benchmarks.chaos.sendings import Sending, Way

from rollbook_shared.jobs.models import Identify, Job

_SECOND: Final = 1_000_000
"""In microseconds."""
_MINUTE: Final = 60 * _SECOND
_FORGETFUL: Final = 0.3
"""Of the jobs and of the time: with outboxes only, so that Valkey may forget."""
_GATHERED: Final = 0.1
_DEFERRED: Final = 0.06
_LATEST_DUE_SECONDS: Final = 5.0
"""After the time in which jobs are sent: some should be deferred even where workers lag behind."""
_WITHDRAWN: Final = 0.01
_SKEW_MINUTES: Final = (-9.0, 4.0)
"""Ahead by less than the 5 minutes above which the face takes it for a mistake."""

SKEWED: Final = "skewed"
GATHERING: Final = "buffered"
WITH_EVERY_PRODUCER: Final = ("direct-1", "direct-2", SKEWED, "outbox-1")
WITH_OUTBOXES: Final = ("outbox-1", "outbox-2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """A stretch of time: what is sent in it, and what goes wrong."""

    name: str
    seconds: float
    faults: tuple[Fault, ...]
    sendings: Mapping[str, Sequence[Sending]]
    """What each producer sends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will happen."""

    seed: int
    jobs: tuple[Job, ...]
    """Distinct. Without those that a buffer makes, and those that are withdrawn, of which nothing must come."""
    acts: tuple[Act, ...]

    @property
    def faults(self) -> Iterator[Fault]:
        """Of all acts."""
        return (fault for act in self.acts for fault in act.faults)


def make_plan(*, seed: int, jobs: int, seconds: float, kinds: Collection[str], every: float, begin: int) -> Plan:
    """Plan a run of so many jobs and seconds with faults of these kinds; `begin` in microseconds since 1970."""
    chance = Random(seed)
    names, shares = _acts(kinds)
    times = [seconds * share for share in shares]
    faults = [
        schedule(chance, seconds=time, kinds=_kinds_of(name, kinds), every=every)
        for name, time in zip(names, times, strict=True)
    ]
    made = [
        _defer(chance, make_jobs(chance, number=round(jobs * share), now=begin, prefix=name), begin, seconds)
        for name, share in zip(names, shares, strict=True)
    ]
    gathered = {
        job.id for job in made[0] if names[0] == "all" and isinstance(job, Identify) and chance.random() < _GATHERED
    }
    sent = deliveries(
        chance,
        [[job for job in own if job.id not in gathered] for own in made],
        seconds=times,
        producers=[WITH_EVERY_PRODUCER if name == "all" else WITH_OUTBOXES for name in names],
    )
    readings = _readings(chance, faults[0], sent, begin)
    stamped = {
        job.id: job.model_copy(update={"occurred_at": readings.get(job.id, job.occurred_at)})
        for own in made
        for job in own
        if job.id not in gathered
    }
    withdrawn = make_jobs(chance, number=round(jobs * _WITHDRAWN), now=begin, prefix="withdrawn")
    sendings = [
        *_sent(sent, stamped, readings),
        *_withdrawn(chance, withdrawn, times),
        *_gathered(chance, [job for job in made[0] if job.id in gathered], times[0], begin),
    ]
    return Plan(
        seed=seed,
        jobs=tuple(stamped.values()),
        acts=tuple(
            Act(name=name, seconds=times[number], faults=faults[number], sendings=_of_act(number, sendings))
            for number, name in enumerate(names)
        ),
    )


_Placed = tuple[int, str, Sending]
"""Which act, which producer, what."""


def _acts(kinds: Collection[str]) -> tuple[list[str], list[float]]:
    """The names of the acts, and what share of the jobs and of the time each has."""
    if not ONLY_WITH_OUTBOX.intersection(kinds):
        return ["all"], [1.0]
    if ONLY_WITH_OUTBOX.issuperset(kinds):
        return ["outbox"], [1.0]
    return ["all", "outbox"], [1 - _FORGETFUL, _FORGETFUL]


def _kinds_of(act: str, kinds: Collection[str]) -> set[str]:
    return set(kinds) - (ONLY_WITH_OUTBOX if act == "all" else ONLY_BEFORE)


def _defer(chance: Random, jobs: Iterable[Job], begin: int, seconds: float) -> list[Job]:
    """Have some of the jobs take effect during the run."""
    return [
        job.model_copy(
            update={
                "deferred": True,
                "occurred_at": begin + int(chance.uniform(0, seconds + _LATEST_DUE_SECONDS) * _SECOND),
            }
        )
        if chance.random() < _DEFERRED
        else job
        for job in jobs
    ]


def _readings(chance: Random, faults: Iterable[Fault], sent: Iterable[Delivery], begin: int) -> dict[str, int]:
    """When the jobs happened that the producer with the skewed clock sent first: what that clock said."""
    steps = [(fault.at, fault.choice) for fault in faults if fault.kind == "skew-clock"]
    least, most = _SKEW_MINUTES
    readings: dict[str, int] = {}
    seen: set[str] = set()
    for delivery in sent:
        job = delivery.job
        if delivery.producer == SKEWED and not job.deferred and job.id not in seen:
            choice = next((choice for at, choice in reversed(steps) if at <= delivery.at), None)
            skew = 0 if choice is None else int((least + choice * (most - least)) * _MINUTE)
            readings[job.id] = begin + int(delivery.at * _SECOND) + skew + chance.randrange(1_000)
        seen.add(job.id)
    return readings


def _sent(sent: Iterable[Delivery], jobs: Mapping[str, Job], readings: Mapping[str, int]) -> Iterator[_Placed]:
    for delivery in sent:
        job = jobs[delivery.job.id]
        # what does not come from the skewed producer says when it happened
        way = Way.BY_CLOCK if delivery.producer == SKEWED and job.id in readings else Way.STAMPED
        yield delivery.act, delivery.producer, Sending(at=delivery.at, way=way, job=job)


def _withdrawn(chance: Random, jobs: Iterable[Job], seconds: Sequence[float]) -> Iterator[_Placed]:
    last = len(seconds) - 1
    for job in jobs:
        yield last, "outbox-1", Sending(at=chance.uniform(0, seconds[last]), way=Way.WITHDRAWN, job=job)


def _gathered(chance: Random, jobs: Iterable[Job], seconds: float, begin: int) -> Iterator[_Placed]:
    for job in jobs:
        at = chance.uniform(0, seconds)
        told = job.model_copy(update={"occurred_at": begin + int(at * _SECOND), "deferred": False})
        yield 0, GATHERING, Sending(at=at, way=Way.GATHERED, job=told)


def _of_act(number: int, sendings: Iterable[_Placed]) -> dict[str, list[Sending]]:
    of_producers: defaultdict[str, list[Sending]] = defaultdict(list)
    for act, producer, sending in sendings:
        if act == number:
            of_producers[producer].append(sending)
    return {name: sorted(own, key=lambda sending: (sending.at, sending.job.id)) for name, own in of_producers.items()}
