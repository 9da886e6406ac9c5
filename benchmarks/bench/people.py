"""The users that are told of: ten traits, about 300 bytes, the same for every side."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

KNOWN: Final = "k-"
"""Begins the ids of the users that every side knows from the start, which end in eight digits."""
_visits: Final = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A user as an application would tell of it."""

    id: str
    traits: Mapping[str, Any]


def known_id(number: int) -> str:
    return f"{KNOWN}{number:08}"


def crowd(size: int, *, known: int) -> list[Person]:
    """Half of them known, chosen by chance from the first `known`, half of them new; in no order, nobody twice.

    All have the same value of `visit`, which no other crowd has: it tells what was applied from what was there.
    """
    visit = next(_visits)
    old = [known_id(number) for number in random.sample(range(known), min(size // 2, known))]
    new = [f"n-{visit:06}-{number:06}" for number in range(size - len(old))]
    ids = [*old, *new]
    random.shuffle(ids)
    return [Person(id=id_, traits=traits(number, visit)) for number, id_ in enumerate(ids)]


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
