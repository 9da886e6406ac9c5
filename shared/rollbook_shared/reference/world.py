"""The world: all that readers see, in the one shape in which the reference, the core and Postgres are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypedDict


class WorldUser(TypedDict):
    """A user as it is now. An attribute that is null is none, and not here."""

    attributes: dict[str, Any]
    properties: dict[str, Any]
    preferences: dict[str, Any]
    channel_data: dict[str, Any]
    push_tokens: dict[str, list[str]]
    """By channel, the hashes of the push tokens that this user, of all who sent them, sent last."""
    updated: str
    """The stamp of the newest change."""


class WorldActivity(TypedDict):
    """An activity that belongs to a user now."""

    owner: str
    actor: str | None
    missing_actor: bool
    """An actor was named, but is no user now."""
    workflow: str


class WorldMessage(WorldActivity):
    """A message that belongs to a user now."""

    channel: str
    engagements: dict[str, int]
    """The engagements that are set: `seen` and so on, each with its time in microseconds since 1970."""


class World(TypedDict):
    """Everything that readers see."""

    users: dict[str, WorldUser]
    merged: dict[str, str]
    """Each merged-away id, and the id it stands for in the end."""
    messages: dict[str, WorldMessage]
    activities: dict[str, WorldActivity]


_ABSENT: Final = object()


def first_difference(a: World, b: World) -> str | None:
    """The first path at which two worlds differ, with both values; or None. Unlike `==`, it distinguishes `true`
    from 1.
    """
    return next(differences(a, b), None)


def differences(a: World, b: World) -> Iterator[str]:
    """Every such path, in order."""
    for path, left, right in _differences("", a, b):
        yield f"{path}: {_shown(left)} != {_shown(right)}"


def _differences(path: str, a: object, b: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted(a.keys() | b.keys()):
            where = f"{path}[{key!r}]" if path else str(key)
            yield from _differences(where, a.get(key, _ABSENT), b.get(key, _ABSENT))
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from _differences(f"{path}[{index}]", left, right)
    elif a is not b and (a != b or isinstance(a, bool) != isinstance(b, bool)):
        yield path, a, b


def _shown(value: object) -> str:
    return "nothing" if value is _ABSENT else repr(value)
