"""Makes the users of the benchmark: ten traits, about 300 bytes, the same for every contender."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

KNOWN: Final = "k-"
"""Prefix of the ids of the users that every contender knows from the start; they end in eight digits."""
_visits: Final = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRecord:
    """A user, as an application would identify it."""

    id: str
    traits: Mapping[str, Any]


def known_id(number: int) -> str:
    return f"{KNOWN}{number:08}"


def make_users(size: int, *, known: int) -> list[UserRecord]:
    """Make distinct users in random order: half of them random ones of the first `known`, half of them new.

    All have the same value of `visit`, which is new in each call: it distinguishes what was applied from the rest. A
    known user keeps its e-mail address and name, as users do.
    """
    visit = next(_visits)
    old = [(known_id(number), number) for number in random.sample(range(known), min(size // 2, known))]
    new = [(f"n-{visit:06}-{number:06}", number) for number in range(size - len(old))]
    users = [*old, *new]
    random.shuffle(users)
    return [UserRecord(id=id_, traits=traits(number, visit)) for id_, number in users]


def traits(number: int, visit: int) -> dict[str, Any]:
    """Ten traits: three attributes and seven properties."""
    return {
        "email": f"ann.example.{number}@mail.example.com",
        "name": f"Ann Example the {number}th",
        "locale": "de-CH",
        "plan": random.choice(["free", "pro", "team", "enterprise"]),
        "company": {"id": f"company-{number % 997}", "name": "Example and Daughters"},
        "roles": ["editor", "billing"],
        "seats": number % 50,
        "newsletter": number % 2 == 0,
        "last_seen_page": f"/projects/{number}/settings/notifications",
        "visit": visit,
    }
