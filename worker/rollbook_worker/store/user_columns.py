"""Rows of users as the columns that the upsert of users takes: texts joined by a slash, JSON objects as one JSON array.

To Postgres that is the cheapest form: of rows as JSON objects it reads each profile twice, first to find its end, and
takes memory anew for each row, which costs it a sixth of what it does for a user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rollbook_shared.jobs.models import Identify
from rollbook_shared.json_values import encode_json
from rollbook_worker.core import facts_of
from rollbook_worker.store.received_jobs import ReceivedJob
from rollbook_worker.store.rows import PlainUser, Row, rows_of

SEPARATOR: Final = "/"
"""No user id contains it, nor does a stamp."""
MAX_PROFILE_CHARACTERS: Final = 16 * 1024 * 1024
"""In one statement: Postgres takes no JSON array above 256 MiB, and a small number takes six times its text there."""
MAX_IDENTIFIES: Final = 20
"""In a larger batch the statement that also enters them would compare each user with too many jobs."""

UserColumns = dict[str, str | None]
"""What the upsert of users takes of them."""


def user_columns(users: Sequence[Row]) -> Iterator[UserColumns]:
    """The columns for each statement, in the order of the rows: one statement, unless the users are very large.

    A column is None if all its values are what those of nearly all users are; the statement knows them.
    """
    profiles = encode_json([user["profile"] for user in users]).decode()
    if len(profiles) > MAX_PROFILE_CHARACTERS and len(users) > 1:
        half = len(users) // 2
        yield from user_columns(users[:half])
        yield from user_columns(users[half:])
        return
    last_stamps = [user["last_stamp"] for user in users]
    base_stamps = [user["base_stamp"] for user in users]
    first_identified = [user["first_identified"] for user in users]
    key_stamps = [user["key_stamps"] for user in users]
    identify_stamps = [user["identify_stamps"] for user in users]
    yield {
        "ids": _joined([user["id"] for user in users]),
        "profiles": profiles,
        "last_stamps": _joined(last_stamps),
        "base_stamps": None if base_stamps == last_stamps else _joined(base_stamps),
        "first_identified": None if first_identified == last_stamps else _joined(first_identified),
        "key_stamps": encode_json(key_stamps).decode() if any(key_stamps) else None,
        "identify_stamps": _joined(identify_stamps) if any(identify_stamps) else None,
    }


def identify_columns(arrivals: Sequence[ReceivedJob], *, now: int, max_clock_skew: int) -> UserColumns | None:
    """The columns for the statement that enters a few identifies, each of a user of its own, together with their users.
    Nearly all batches of a worker that is not busy are such, and what they cost is their round trips.

    None if one of them is anything but an identify of traits that takes effect now, or if two have an id or a user in
    common.
    """
    if len(arrivals) > MAX_IDENTIFIES:
        return None
    ids: set[str] = set()
    users: set[str] = set()
    jobs: list[Identify] = []
    for arrival in arrivals:
        job = arrival.job
        if not isinstance(job, Identify) or job.user.preferences or job.user.channel_data:
            return None
        if job.occurred_at > (now if job.deferred else now + max_clock_skew):
            return None
        ids.add(job.id)
        users.add(job.user.id)
        jobs.append(job)
    if not len(ids) == len(users) == len(jobs):
        return None
    columns = list(plain_columns(rows_of(fact for job in jobs for fact in facts_of(job)).plain_users))
    return columns[0] if len(columns) == 1 else None


def plain_columns(users: Sequence[PlainUser]) -> Iterator[UserColumns]:
    """The same for users who have one update each."""
    ids, stamps, profiles = zip(*users, strict=True)
    text = b"[" + b",".join(profiles) + b"]"
    if len(text) > MAX_PROFILE_CHARACTERS and len(users) > 1:
        half = len(users) // 2
        yield from plain_columns(users[:half])
        yield from plain_columns(users[half:])
        return
    yield {
        "ids": _joined(ids),
        "profiles": text.decode(),
        "last_stamps": _joined(stamps),
        **dict.fromkeys(("base_stamps", "first_identified", "key_stamps", "identify_stamps")),
    }


def _joined(texts: Sequence[str | None]) -> str:
    """The texts in one, null as an empty one.

    Raises:
        ValueError: one of them contains the separator, and would count as two.
    """
    joined = SEPARATOR.join([text or "" for text in texts])
    if joined.count(SEPARATOR) != len(texts) - 1:
        raise ValueError("a user id or a stamp contains a slash")
    return joined
