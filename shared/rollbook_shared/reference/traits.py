"""Sample traits. Plain values only: what is read back from Postgres must equal what was sent."""

from __future__ import annotations

from random import Random
from typing import Any, Final

_FIRST: Final = ("Ann", "Bo", "Cy", "Dora", "Émile", "Fatima", "Goran", "Hana", "Igor", "João", "Kenji", "Līga")
_LAST: Final = ("Abe", "Berg", "Castillo", "Dubois", "Eze", "Fischer", "García", "Hoàng", "Ivanova", "Jensen", "Kim")
_PLANS: Final = ("free", "team", "pro", "enterprise")
_ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Africa/Lagos", "UTC")
_LOCALES: Final = ("en", "en-GB", "de", "fr-CA", "pt-BR", "ja")


def full_traits(chance: Random, user_id: str) -> dict[str, Any]:
    """The traits that a backend sends at a sign-up."""
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return {
        "name": f"{first} {last}",
        "email": f"{user_id.lower()}@example.com",
        "locale": chance.choice(_LOCALES),
        "timezone": chance.choice(_ZONES),
        "created_at": f"2026-{chance.randint(1, 9):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:30:00Z",
        "plan": chance.choice(_PLANS),
        "seats": chance.randint(1, 500),
        "score": chance.randint(0, 400) / 4,
        "active": chance.random() < 0.9,
        "address": {"city": chance.choice(("Lyon", "Oslo", "Quito")), "zip": f"{chance.randint(0, 99999):05}"},
    }


def some_traits(chance: Random) -> dict[str, Any]:
    """One to three changed keys, some of them to null."""
    changes = (
        lambda: ("plan", chance.choice(_PLANS)),
        lambda: ("seats", chance.randint(1, 500)),
        lambda: ("name", f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"),
        lambda: ("phone_number", f"+4930{chance.randint(100000, 999999)}"),
        lambda: ("avatar", f"https://example.com/{chance.randint(1, 99)}.png"),
        lambda: ("address", {"city": "Kyoto", "floor": chance.randint(1, 9)}),
        lambda: ("tags", chance.sample(["beta", "vip", "trial", "churned"], chance.randint(0, 3))),
        lambda: ("settings", {"theme": {"dark": chance.random() < 0.5}, "density": chance.choice((1, 2, None))}),
        lambda: ("locale", None),
        lambda: ("plan", None),
    )
    return dict(chance.choice(changes)() for _ in range(chance.randint(1, 3)))


def preference_set(chance: Random) -> dict[str, Any]:
    """A preference set."""
    return {
        "workflows": {"new-comment": chance.random() < 0.5},
        "categories": {"marketing": {"channel_types": {"email": chance.random() < 0.5}}},
        "channel_types": {"push": chance.random() < 0.5},
    }


def preference_changes(chance: Random) -> dict[str, Any]:
    """One or two changed keys of a preference set, some of them removed."""
    changes: dict[str, Any] = {}
    for _ in range(chance.randint(1, 2)):
        section, key = chance.choice(
            (("workflows", "new-comment"), ("workflows", "mention"), ("channel_types", "push"))
        )
        changes.setdefault(section, {})[key] = chance.choice((True, False, False, None))
    return changes


def push_tokens(chance: Random) -> dict[str, Any]:
    """Channel data of a push channel."""
    return {"tokens": [f"{chance.getrandbits(64):016x}" for _ in range(chance.randint(1, 2))]}
