"""The orders in which a few jobs may be delivered."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Final

from rollbook_shared.jobs.models import Job

ALL_UP_TO: Final = 5
SAMPLE: Final = 120


def orders(jobs: Sequence[Job]) -> Iterator[tuple[Job, ...]]:
    """Every order of up to five jobs; of more, as given, the other way round, and a sample, the same on every run."""
    if len(jobs) <= ALL_UP_TO:
        yield from permutations(jobs)
        return
    yield tuple(jobs)
    yield tuple(reversed(jobs))
    chance = random.Random(len(jobs))
    for _ in range(SAMPLE - 2):
        yield tuple(chance.sample(jobs, len(jobs)))
