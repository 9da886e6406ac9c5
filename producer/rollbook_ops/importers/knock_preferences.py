"""Knock's preference sets and channel data, in the shapes of its calls and of its answers.

A set may say what Rollbook has no place for: conditions, choices by channel, consent to commercial messages. That is
left out where it lets messages through, and rejected where it may hold one back: left out, it would reach somebody who
did not want it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rollbook_shared.errors import Problem

_FEED: Final = {"in_app_feed": "in_app"}
"""Knock's name for the in-app feed, and the channel that messages go to here unless told otherwise."""
_NO_PLACE: Final = frozenset({"conditions", "channels", "commercial_subscribed"})
_HOLDS_BACK: Final = "has no place in Rollbook; without it, messages could go out that the user did not want"


@dataclass(slots=True)
class Found:
    """What was found wrong on the way, and what was left out."""

    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def refuse(self, where: str, reason: str) -> None:
        self.problems.append(Problem(where, reason))


def preference_sets(value: Any, found: Found) -> Any:
    """The sets by id, of an object of them, of a list, or of a single one."""
    where = "preferences"
    match value:
        case {"id": str(set_id)}:
            return {set_id: _settings(value, found, where)}
        case dict():
            return {set_id: _settings(one, found, f"{where}.{set_id}") for set_id, one in value.items()}
        case list():
            return {set_id: _settings(one, found, place) for set_id, one, place in _listed(value, "id", found, where)}
        case _:
            return value  # the face says what is wrong with it


def channel_data(value: Any, found: Found) -> Any:
    """The data by channel, of an object of them or of a list."""
    match value:
        case dict():
            return {channel: _data(one) for channel, one in value.items()}
        case list():
            return {channel: _data(one) for channel, one, _ in _listed(value, "channel_id", found, "channel_data")}
        case _:
            return value


def _listed(value: list[Any], key: str, found: Found, where: str) -> list[tuple[str, Any, str]]:
    """The items with what they are called and their places; those that are not called anything are rejected."""
    items = []
    for index, one in enumerate(value):
        if isinstance(one, dict) and isinstance(one.get(key), str):
            items.append((one[key], one, f"{where}[{index}]"))
        else:
            found.refuse(f"{where}[{index}].{key}", "is required")
    return items


def _data(one: Any) -> Any:
    """The data itself; an answer of the API wraps it."""
    match one:
        case {"channel_id": _, "data": data}:
            return data
        case _:
            return one


def _settings(one: Any, found: Found, where: str) -> Any:
    if not isinstance(one, dict):
        return one
    if one.get("__persistence_strategy__", "replace") != "replace":
        found.refuse(f"{where}.__persistence_strategy__", "must be replace: a preference set is told as a whole")
    settings: dict[str, Any] = {}
    for name, value in _with_place(one, found, where).items():
        match name, value:
            case (("id" | "__typename" | "__persistence_strategy__"), _):
                pass
            case (("workflows" | "categories"), dict()):
                choices = {key: _choice(choice, found, f"{where}.{name}.{key}") for key, choice in value.items()}
                settings[name] = {key: choice for key, choice in choices.items() if choice not in (None, {})}
            case "channel_types", dict():
                settings[name] = _types(value, found, f"{where}.{name}")
            case _:
                settings[name] = value
    return settings


def _choice(choice: Any, found: Found, where: str) -> Any:
    """What is chosen for a workflow or category."""
    if not isinstance(choice, dict):
        return choice
    kept = _with_place(choice, found, where)
    if isinstance(types := kept.get("channel_types"), dict):
        kept["channel_types"] = _types(types, found, f"{where}.channel_types")
    return kept


def _types(types: Mapping[str, Any], found: Found, where: str) -> dict[str, Any]:
    kept = {}
    for name, value in types.items():
        if isinstance(value, dict):
            value = _with_place(value, found, f"{where}.{name}")
        if value not in (None, {}):
            kept[_FEED.get(name, name)] = value
    return kept


def _with_place(part: Mapping[str, Any], found: Found, where: str) -> dict[str, Any]:
    """The part without nulls, and without what has no place here."""
    kept = {}
    for name, value in part.items():
        if value is None:
            continue
        if name not in _NO_PLACE:
            kept[name] = value
        elif _lets_through(value):
            found.left_out += [name] if value else []
        else:
            found.refuse(f"{where}.{name}", _HOLDS_BACK)
    return kept


def _lets_through(value: Any) -> bool:
    """Whether it holds no message back: yes to everything, or nothing said."""
    return value is True or value in ([], {}) or (isinstance(value, dict) and all(map(_lets_through, value.values())))
