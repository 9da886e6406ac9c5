"""Which producer sends which job when: in random order, 1.5 times on average, some of them again much later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from rollbook_shared.jobs.models import Job

_TIMES: Final[Mapping[int, float]] = {1: 0.62, 2: 0.28, 3: 0.08, 4: 0.02}
"""Times that a job is sent -> share of the jobs; 1.5 times on average."""
_SOON_SECONDS: Final = 2.0
_LATE_SHARE: Final = 0.4
_MUCH_LATER_SHARE: Final = 0.3
"""Share of the late ones that a later phase sends, if there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One delivery of a job."""

    phase: int
    at: float
    """Seconds after the start of the phase."""
    producer: str
    job: Job


def plan_deliveries(
    rng: Random, jobs: Sequence[Sequence[Job]], *, seconds: Sequence[float], producers: Sequence[Sequence[str]]
) -> list[Delivery]:
    """Plan the deliveries of each phase's jobs, in the order of their times. Later phases send earlier jobs again.

    All producers of a phase are equally likely; one that is listed twice is twice as likely.
    """
    made: list[Delivery] = []
    for number, own in enumerate(jobs):
        for job in own:
            first = rng.uniform(0, seconds[number])
            (times,) = rng.choices([*_TIMES], [*_TIMES.values()])
            for phase, at in [(number, first), *(_again(rng, number, first, seconds) for _ in range(times - 1))]:
                made.append(Delivery(phase=phase, at=at, producer=rng.choice(producers[phase]), job=job))
    return sorted(made, key=lambda delivery: (delivery.phase, delivery.at, delivery.job.id))


def _again(rng: Random, phase: int, first: float, seconds: Sequence[float]) -> tuple[int, float]:
    """The phase and the time of a further delivery."""
    if rng.random() > _LATE_SHARE:
        return phase, min(seconds[phase], first + rng.uniform(0, _SOON_SECONDS))
    last = len(seconds) - 1
    if phase < last and rng.random() < _MUCH_LATER_SHARE:
        return last, rng.uniform(0, seconds[last])
    return phase, rng.uniform(first, seconds[phase])
