"""Plans a run from one seed: the same seed and start time give the same plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.chaos.deliveries import Delivery, plan_deliveries
from benchmarks.chaos.fault_kinds import ONLY_BEFORE, ONLY_WITH_OUTBOX
from benchmarks.chaos.faults import Fault, schedule_faults
from benchmarks.chaos.http_jobs import as_http_job
from benchmarks.chaos.jobs import make_jobs, make_late_triggers
from benchmarks.chaos.operations import Method, Operation

from rollbook_shared.jobs.models import Identify, Job

_SECOND: Final = 1_000_000
"""In microseconds."""
_MINUTE: Final = 60 * _SECOND
_OUTBOX_SHARE: Final = 0.3
"""Share of the jobs and of the time with outboxes only, so that Valkey may lose its data."""
_BUFFERED_SHARE: Final = 0.1
_HTTP_SHARE: Final = 0.35
"""Of the jobs that the HTTP API can say, which are about half of all."""
_HTTP_AGAIN_SHARE: Final = 0.3
"""Share of the requests that are sent again by themselves, with the same idempotency key."""
_DEFERRED_SHARE: Final = 0.06
_LATEST_DUE_SECONDS: Final = 5.0
"""After the sending has ended: some jobs should be deferred even if the workers lag."""
_ROLLED_BACK_SHARE: Final = 0.01
_LATE_SHARE: Final = 0.02
"""Of triggers older than the retention, if there is one; each is sent twice."""
_SKEW_MINUTES: Final = (-9.0, 4.0)
"""Ahead by less than 5 minutes: the client rejects more (`max_clock_skew`)."""

SKEWED: Final = "skewed"
BUFFERED_PRODUCER: Final = "buffered"
HTTP_PRODUCER: Final = "http"
WITH_EVERY_PRODUCER: Final = ("direct-1", "direct-2", SKEWED, "outbox-1")
WITH_OUTBOXES: Final = ("outbox-1", "outbox-2")
WITH_TIMESTAMPS: Final = ("direct-1", "direct-2", "outbox-1")
"""Of the first phase; another producer has its own idea of the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of the run: what is sent in it, and its faults."""

    name: str
    seconds: float
    faults: tuple[Fault, ...]
    operations: Mapping[str, Sequence[Operation]]
    """Producer -> what it sends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The plan of a run."""

    seed: int
    jobs: tuple[Job, ...]
    """Distinct jobs, without those that a buffer or the HTTP server makes, and without those that are rolled back."""
    phases: tuple[Phase, ...]
    too_late: frozenset[str] = frozenset()
    """The ids of the triggers that make no messages, as they are older than the retention."""

    @property
    def faults(self) -> Iterator[Fault]:
        """The faults of all phases."""
        return (fault for phase in self.phases for fault in phase.faults)


def make_plan(
    *,
    seed: int,
    jobs: int,
    seconds: float,
    kinds: Collection[str],
    every: float,
    begin: int,
    late_before: int | None = None,
) -> Plan:
    """Plan a run with faults of these `kinds`. `begin` is in microseconds since 1970, and so is `late_before`: some
    triggers are from before that time, and make no messages.
    """
    rng = Random(seed)
    names, shares = _phases(kinds)
    times = [seconds * share for share in shares]
    faults = [
        schedule_faults(rng, seconds=time, kinds=_kinds_of(name, kinds), every=every)
        for name, time in zip(names, times, strict=True)
    ]
    made = [
        _defer(rng, make_jobs(rng, number=round(jobs * share), now=begin, prefix=name), begin, seconds)
        for name, share in zip(names, shares, strict=True)
    ]
    buffered = {
        job.id for job in made[0] if names[0] == "all" and isinstance(job, Identify) and rng.random() < _BUFFERED_SHARE
    }
    by_http = {
        job.id: as_http
        for job in made[0]
        if names[0] == "all"
        and job.id not in buffered
        and (as_http := as_http_job(job)) is not None
        and rng.random() < _HTTP_SHARE
    }
    elsewhere = buffered | by_http.keys()
    sent = plan_deliveries(
        rng,
        [[job for job in own if job.id not in elsewhere] for own in made],
        seconds=times,
        producers=[WITH_EVERY_PRODUCER if name == "all" else WITH_OUTBOXES for name in names],
    )
    readings = _clock_readings(rng, faults[0], sent, begin)
    stamped = {
        job.id: job.model_copy(update={"occurred_at": readings.get(job.id, job.occurred_at)})
        for own in made
        for job in own
        if job.id not in elsewhere
    }
    rolled_back = make_jobs(rng, number=round(jobs * _ROLLED_BACK_SHARE), now=begin, prefix="rolled-back")
    late = [] if late_before is None else make_late_triggers(rng, number=round(jobs * _LATE_SHARE), before=late_before)
    operations = [
        *_sent(sent, stamped, readings),
        *_rolled_back(rng, rolled_back, times),
        *_buffered(rng, [job for job in made[0] if job.id in buffered], times[0], begin),
        *_by_http(rng, by_http.values(), times[0]),
        *_late(rng, late, WITH_TIMESTAMPS if names[0] == "all" else WITH_OUTBOXES, times[0]),
    ]
    return Plan(
        seed=seed,
        jobs=(*stamped.values(), *late),
        too_late=frozenset(job.id for job in late),
        phases=tuple(
            Phase(name=name, seconds=times[number], faults=faults[number], operations=_of_phase(number, operations))
            for number, name in enumerate(names)
        ),
    )


def _late(rng: Random, jobs: Iterable[Job], producers: Sequence[str], seconds: float) -> Iterator[_Planned]:
    for job in jobs:
        for producer in rng.choices(producers, k=2):
            yield 0, producer, Operation(at=rng.uniform(0, seconds), method=Method.TIMESTAMPED, job=job)


_Planned = tuple[int, str, Operation]
"""Phase, producer, operation."""


def _phases(kinds: Collection[str]) -> tuple[list[str], list[float]]:
    """The names of the phases, and the share of the jobs and of the time of each."""
    if not ONLY_WITH_OUTBOX.intersection(kinds):
        return ["all"], [1.0]
    if ONLY_WITH_OUTBOX.issuperset(kinds):
        return ["outbox"], [1.0]
    return ["all", "outbox"], [1 - _OUTBOX_SHARE, _OUTBOX_SHARE]


def _kinds_of(phase: str, kinds: Collection[str]) -> set[str]:
    return set(kinds) - (ONLY_WITH_OUTBOX if phase == "all" else ONLY_BEFORE)


def _defer(rng: Random, jobs: Iterable[Job], begin: int, seconds: float) -> list[Job]:
    """Defer some of the jobs until a time in the run."""
    return [
        job.model_copy(
            update={
                "deferred": True,
                "occurred_at": begin + int(rng.uniform(0, seconds + _LATEST_DUE_SECONDS) * _SECOND),
            }
        )
        if rng.random() < _DEFERRED_SHARE
        else job
        for job in jobs
    ]


def _clock_readings(rng: Random, faults: Iterable[Fault], sent: Iterable[Delivery], begin: int) -> dict[str, int]:
    """The timestamps of jobs that the producer with the skewed clock sent first: what that clock showed."""
    steps = [(fault.at, fault.choice) for fault in faults if fault.kind == "skew-clock"]
    least, most = _SKEW_MINUTES
    readings: dict[str, int] = {}
    seen: set[str] = set()
    for delivery in sent:
        job = delivery.job
        if delivery.producer == SKEWED and not job.deferred and job.id not in seen:
            choice = next((choice for at, choice in reversed(steps) if at <= delivery.at), None)
            skew = 0 if choice is None else int((least + choice * (most - least)) * _MINUTE)
            readings[job.id] = begin + int(delivery.at * _SECOND) + skew + rng.randrange(1_000)
        seen.add(job.id)
    return readings


def _sent(sent: Iterable[Delivery], jobs: Mapping[str, Job], readings: Mapping[str, int]) -> Iterator[_Planned]:
    for delivery in sent:
        job = jobs[delivery.job.id]
        # jobs of all other producers are sent with their timestamps
        method = Method.BY_CLOCK if delivery.producer == SKEWED and job.id in readings else Method.TIMESTAMPED
        yield delivery.phase, delivery.producer, Operation(at=delivery.at, method=method, job=job)


def _rolled_back(rng: Random, jobs: Iterable[Job], seconds: Sequence[float]) -> Iterator[_Planned]:
    last = len(seconds) - 1
    for job in jobs:
        yield last, "outbox-1", Operation(at=rng.uniform(0, seconds[last]), method=Method.ROLLED_BACK, job=job)


def _buffered(rng: Random, jobs: Iterable[Job], seconds: float, begin: int) -> Iterator[_Planned]:
    for job in jobs:
        at = rng.uniform(0, seconds)
        sent = job.model_copy(update={"occurred_at": begin + int(at * _SECOND), "deferred": False})
        yield 0, BUFFERED_PRODUCER, Operation(at=at, method=Method.BUFFERED, job=sent)


def _by_http(rng: Random, jobs: Iterable[Job], seconds: float) -> Iterator[_Planned]:
    for job in jobs:
        for _ in range(2 if rng.random() < _HTTP_AGAIN_SHARE else 1):
            yield 0, HTTP_PRODUCER, Operation(at=rng.uniform(0, seconds), method=Method.HTTP, job=job)


def _of_phase(number: int, operations: Iterable[_Planned]) -> dict[str, list[Operation]]:
    of_producers: defaultdict[str, list[Operation]] = defaultdict(list)
    for phase, producer, operation in operations:
        if phase == number:
            of_producers[producer].append(operation)
    return {
        name: sorted(own, key=lambda operation: (operation.at, operation.job.id)) for name, own in of_producers.items()
    }
