"""The first place where Postgres and the reference differ, and the jobs that have to do with it."""

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

_PLACE: Final = re.compile(r"(\w+)\['([^']*)'\]")
_SHOWN_CHARACTERS: Final = 300
_LOOKED_AT: Final = 200
"""Differences; each is held against all jobs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two differ."""

    what: str
    """The place; what the reference says there, then what Postgres says."""
    jobs: tuple[str, ...]
    """The jobs that name the user, the actor of its message or activity, or one merged with either, in the order of
    their stamps."""


def difference(reference: World, postgres: World, jobs: Sequence[Job]) -> Difference | None:
    """The first difference, or None: all is equal."""
    what = first_difference(reference, postgres)
    return None if what is None else _told(what, reference, postgres, jobs)


def smallest_difference(reference: World, postgres: World, jobs: Sequence[Job]) -> Difference | None:
    """Of the first differences, one each of `_LOOKED_AT` users at most, the one that the fewest jobs have to do with;
    or None: all is equal.
    """
    of_users = {
        _users_of(what, reference, postgres)[0]: what for what in islice(differences(reference, postgres), _LOOKED_AT)
    }
    found = [_told(what, reference, postgres, jobs) for what in of_users.values()]
    return min(found, key=lambda difference: len(difference.jobs), default=None)


def _told(what: str, reference: World, postgres: World, jobs: Sequence[Job]) -> Difference:
    family = set().union(*(_family(user, jobs) for user in _users_of(what, reference, postgres)))
    touching = sorted(
        (job for job in jobs if not family.isdisjoint(job.user_ids)), key=lambda job: (job.occurred_at, job.id)
    )
    return Difference(what, tuple(map(_shown, touching)))


def _users_of(what: str, *worlds: World) -> list[str]:
    """Whom the place is about: the user, or the owner of a message or an activity, then its actor."""
    found = _PLACE.match(what)
    if found is None:
        return [""]
    section, key = found.groups()
    if section not in ("messages", "activities"):
        return [key]
    sections: list[Any] = [world.get(section, {}) for world in worlds]
    rows = [rows[key] for rows in sections if key in rows]
    people = [row["owner"] for row in rows] + [row.get("actor") for row in rows]
    return [str(user) for user in dict.fromkeys(people) if user is not None]


def _family(user_id: str, jobs: Iterable[Job]) -> set[str]:
    """The user and everybody that merges connect with it."""
    pairs = [(job.primary_id, job.secondary_id) for job in jobs if isinstance(job, Merge)]
    family = {user_id}
    while added := {other for other in _other_sides(pairs, family) if other not in family}:
        family |= added
    return family


def _other_sides(pairs: list[tuple[str, str]], family: set[str]) -> Iterator[str]:
    for one, other in pairs:
        if one in family or other in family:
            yield one
            yield other


def _shown(job: Job) -> str:
    text = encode(job)
    cut = f"{text[:_SHOWN_CHARACTERS]}..." if len(text) > _SHOWN_CHARACTERS else text
    return f"{datetime_of(job.occurred_at).isoformat()} {cut}"
