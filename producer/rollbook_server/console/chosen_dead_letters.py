"""Dead letters that a person has chosen from a list: each is replayed or dropped by itself, so that one that fails, or
that another operator has, keeps back no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from rollbook import AsyncRollbook
from rollbook.errors import DeadLetterNotFound, InvalidRequest, JobTimeout, ReplayConflict
from rollbook.resources.bulk_replays import id_of_its_own
from rollbook_server.console.errors import ConsoleError

MOST_CHOSEN: Final = 100
"""Of one action: a page shows half as many."""
_IS_WELL: Final = frozenset({"applied", "deferred", "duplicate", "dropped"})


@dataclass(frozen=True, slots=True)
class ChosenDeadLetter:
    """Which dead letter."""

    id: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenReport:
    """What became of them."""

    counts: Counter[str]
    """By what became of a dead letter, such as `applied` or `gone`."""
    error: Exception | None = None
    """A fault of the servers, which some of them met."""

    @property
    def is_well(self) -> bool:
        """Whether all became what was asked for."""
        return self.error is None and self.counts.keys() <= _IS_WELL

    def __str__(self) -> str:
        counts = [f"{count} {what}" for what, count in sorted(self.counts.items())]
        return ", ".join(counts)


def parse_chosen(values: Iterable[str]) -> list[ChosenDeadLetter]:
    """The dead letters of a form: each is a key and an id, with a blank between.

    Raises:
        ConsoleError: 400, there is none, there are too many, or one is neither.
    """
    pairs = [value.partition(" ") for value in dict.fromkeys(values)]
    if not pairs:
        raise ConsoleError(400, "Nothing chosen", "Tick the dead letters first.")
    if len(pairs) > MOST_CHOSEN or not all(key and id_ for key, _, id_ in pairs):
        raise ConsoleError(400, "Not valid", f"Choose 1 to {MOST_CHOSEN} dead letters of the list.")
    return [ChosenDeadLetter(id_, key) for key, _, id_ in pairs]


async def replay_chosen(rb: AsyncRollbook, chosen: Iterable[ChosenDeadLetter], timeout: float) -> ChosenReport:
    """Replay each as it arrived; a job whose id is another's gets an id of its own.

    timeout: for all of them together, in seconds.
    """

    async def replay(one: ChosenDeadLetter) -> str:
        dead_letter = await rb.jobs.get_dead_letter(one.id, key=one.key)
        try:
            status = await rb.jobs.replay(one.id, key=one.key, job_id=id_of_its_own(dead_letter), timeout=timeout)
        except InvalidRequest:
            return "not replayed, because they would only fail again"
        return "dead again" if status.state == "dead" else str(status.state)

    return await _each(chosen, replay)


async def drop_chosen(rb: AsyncRollbook, chosen: Iterable[ChosenDeadLetter]) -> ChosenReport:
    """Delete each for good."""

    async def drop(one: ChosenDeadLetter) -> str:
        return "dropped" if await rb.jobs.drop(one.id, key=one.key) else "gone"

    return await _each(chosen, drop)


async def _each(chosen: Iterable[ChosenDeadLetter], act: Callable[[ChosenDeadLetter], Awaitable[str]]) -> ChosenReport:
    async def said(one: ChosenDeadLetter) -> str:
        try:
            return await act(one)
        except DeadLetterNotFound:
            return "gone"
        except ReplayConflict:
            return "left to another operator"
        except JobTimeout:
            return "not finished yet"

    results = await asyncio.gather(*map(said, chosen), return_exceptions=True)
    counts: Counter[str] = Counter(result for result in results if isinstance(result, str))
    error = next((result for result in results if isinstance(result, BaseException)), None)
    if error is not None and not isinstance(error, Exception):
        raise error
    return ChosenReport(counts=counts, error=error)
