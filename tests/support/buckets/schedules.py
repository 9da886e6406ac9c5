"""Plays workers step by step: which of them goes on, for how long, and when one dies, is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.support.buckets.workers import Steps, Workers

from rollbook_shared.jobs.models import Job

_DEATH_ONE_IN: Final = 12
"""Steps, while workers may die."""
_TURNS: Final = (1, 2, 4, 40)
"""Steps in which one goes on, while all others stand still."""
_DEATHS: Final = 6
"""Then all live on, so that a run ends."""


def play(workers: Workers, batches: Sequence[Sequence[Job]], chance: Random, *, at_once: int) -> None:
    """Deliver the batches to so many workers. That of a worker that dies is delivered again, after all others."""
    waiting = deque(batches)
    running: list[tuple[Sequence[Job], Steps]] = []
    deaths = _DEATHS
    while waiting or running:
        while waiting and len(running) < at_once:
            batch = waiting.popleft()
            running.append((batch, workers.apply(batch)))
        chosen = running.pop(chance.randrange(len(running)))
        batch, steps = chosen
        for _ in range(chance.choice(_TURNS)):
            if deaths and not chance.randrange(_DEATH_ONE_IN):
                deaths -= 1
                steps.close()
                waiting.append(batch)
                break
            if _has_ended(steps):
                break
        else:
            running.append(chosen)


def play_with_a_death(workers: Workers, batches: Sequence[Sequence[Job]], *, after: int) -> bool:
    """Deliver the batches one after the other to a worker that dies after so many steps of all; then deliver all that
    is not acknowledged again. Return whether it lived that long.
    """
    steps_left = after
    for number, batch in enumerate(batches):
        steps = workers.apply(batch)
        while not _has_ended(steps):
            steps_left -= 1
            if steps_left < 0:
                steps.close()
                for later in batches[number:]:
                    deque(workers.apply(later), maxlen=0)
                return True
    return False


def _has_ended(steps: Steps) -> bool:
    try:
        next(steps)
    except StopIteration:
        return True
    return False
