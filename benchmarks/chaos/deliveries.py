"""Who sends which job when: shuffled, one and a half times each on average, some again much later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from rollbook_shared.jobs.models import Job

_TIMES: Final[Mapping[int, float]] = {1: 0.62, 2: 0.28, 3: 0.08, 4: 0.02}
"""How often a job is sent; 1.5 times on average."""
_SOON_SECONDS: Final = 2.0
_LATE: Final = 0.4
_MUCH_LATER: Final = 0.3
"""Of the late ones, if there is another act."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One sending of a job."""

    act: int
    at: float
    """Seconds after the beginning of the act."""
    producer: str
    job: Job


def deliveries(
    chance: Random, jobs: Sequence[Sequence[Job]], *, seconds: Sequence[float], producers: Sequence[Sequence[str]]
) -> list[Delivery]:
    """The deliveries of each act's jobs, in the order of their times. Later acts deliver jobs of earlier ones again.

    Each producer of an act is as likely as the others; named twice it is twice as likely.
    """
    made: list[Delivery] = []
    for number, own in enumerate(jobs):
        for job in own:
            first = chance.uniform(0, seconds[number])
            (times,) = chance.choices([*_TIMES], [*_TIMES.values()])
            for act, at in [(number, first), *(_again(chance, number, first, seconds) for _ in range(times - 1))]:
                made.append(Delivery(act=act, at=at, producer=chance.choice(producers[act]), job=job))
    return sorted(made, key=lambda delivery: (delivery.act, delivery.at, delivery.job.id))


def _again(chance: Random, act: int, first: float, seconds: Sequence[float]) -> tuple[int, float]:
    """The act and the time of a further delivery."""
    if chance.random() > _LATE:
        return act, min(seconds[act], first + chance.uniform(0, _SOON_SECONDS))
    last = len(seconds) - 1
    if act < last and chance.random() < _MUCH_LATER:
        return last, chance.uniform(0, seconds[last])
    return act, chance.uniform(first, seconds[act])
