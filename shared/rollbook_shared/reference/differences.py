"""The first difference between Postgres and the reference, and the jobs that concern it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Merge
from rollbook_shared.reference.world import World, differences, first_difference

_PATH: Final = re.compile(r"(\w+)\['([^']*)'\]")
_MAX_CHARACTERS: Final = 300
_MAX_COMPARED: Final = 200
"""Differences; each is compared with all jobs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two differ."""

    description: str
    """The path; the value in the reference, then the value in Postgres."""
    jobs: tuple[str, ...]
    """The jobs that name the user, the actor of its message or activity, or one merged with either, in the order of
    their stamps."""


def difference(reference: World, postgres: World, jobs: Sequence[Job]) -> Difference | None:
    """The first difference, or None: all is equal."""
    description = first_difference(reference, postgres)
    return None if description is None else _difference(description, reference, postgres, jobs)


def smallest_difference(reference: World, postgres: World, jobs: Sequence[Job]) -> Difference | None:
    """Of the first differences, one for each of at most `_MAX_COMPARED` users, the one that the fewest jobs concern; or
    None: all is equal.
    """
    by_user = {
        _users_of(description, reference, postgres)[0]: description
        for description in islice(differences(reference, postgres), _MAX_COMPARED)
    }
    found = [_difference(description, reference, postgres, jobs) for description in by_user.values()]
    return min(found, key=lambda difference: len(difference.jobs), default=None)


def _difference(description: str, reference: World, postgres: World, jobs: Sequence[Job]) -> Difference:
    connected = set().union(*(_merged_with(user, jobs) for user in _users_of(description, reference, postgres)))
    concerned = sorted(
        (job for job in jobs if not connected.isdisjoint(job.user_ids)), key=lambda job: (job.occurred_at, job.id)
    )
    return Difference(description, tuple(map(_job_line, concerned)))


def _users_of(description: str, *worlds: World) -> list[str]:
    """The users that the path concerns: the user, or the owner of a message or an activity, then its actor."""
    found = _PATH.match(description)
    if found is None:
        return [""]
    section, key = found.groups()
    if section not in ("messages", "activities"):
        return [key]
    sections: list[Any] = [world.get(section, {}) for world in worlds]
    rows = [rows[key] for rows in sections if key in rows]
    people = [row["owner"] for row in rows] + [row.get("actor") for row in rows]
    return [str(user) for user in dict.fromkeys(people) if user is not None]


def _merged_with(user_id: str, jobs: Iterable[Job]) -> set[str]:
    """The user and all users that merges connect with it."""
    pairs = [(job.primary_id, job.secondary_id) for job in jobs if isinstance(job, Merge)]
    connected = {user_id}
    while added := {other for other in _other_sides(pairs, connected) if other not in connected}:
        connected |= added
    return connected


def _other_sides(pairs: list[tuple[str, str]], connected: set[str]) -> Iterator[str]:
    for one, other in pairs:
        if one in connected or other in connected:
            yield one
            yield other


def _job_line(job: Job) -> str:
    text = encode(job)
    cut = f"{text[:_MAX_CHARACTERS]}..." if len(text) > _MAX_CHARACTERS else text
    return f"{datetime_of(job.occurred_at).isoformat()} {cut}"
