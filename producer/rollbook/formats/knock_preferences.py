"""Preference sets and channel data in the formats of Knock's API, as it returns or accepts them.

A set may hold settings that Rollbook has not: conditions, settings by channel, consent to commercial messages. Such a
setting is left out if it allows messages, and rejected if it may suppress one: without it, a message would reach a user
who did not want it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rollbook_shared.errors import Problem

_CHANNEL_TYPES: Final = {"in_app_feed": "in_app"}
"""Knock's name of the in-app feed, and Rollbook's, which is also the default channel of messages."""
_KNOCK_CHANNEL_TYPES: Final = {ours: theirs for theirs, ours in _CHANNEL_TYPES.items()}
_UNSUPPORTED: Final = frozenset({"conditions", "channels", "commercial_subscribed"})
_MAY_SUPPRESS: Final = "is not supported by Rollbook; without it, the user could get messages they did not want"


@dataclass(slots=True)
class Conversion:
    """The problems that the conversion of one user found, and the fields that it left out."""

    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def reject(self, path: str, reason: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(path, reason))


def convert_preferences(value: Any, conversion: Conversion) -> Any:
    """Return the sets by id, from an object of sets, a list of sets, or a single set."""
    path = "preferences"
    match value:
        case {"id": str(set_id)}:
            return {set_id: _convert_set(value, conversion, path)}
        case dict():
            return {set_id: _convert_set(one, conversion, f"{path}.{set_id}") for set_id, one in value.items()}
        case list():
            items = _keyed_items(value, "id", conversion, path)
            return {set_id: _convert_set(one, conversion, item_path) for set_id, one, item_path in items}
        case _:
            return value  # the client rejects it, and says why


def convert_channel_data(value: Any, conversion: Conversion) -> Any:
    """Return the data by channel, from an object or a list."""
    match value:
        case dict():
            return {channel: _unwrap_data(one) for channel, one in value.items()}
        case list():
            items = _keyed_items(value, "channel_id", conversion, "channel_data")
            return {channel: _unwrap_data(one) for channel, one, _ in items}
        case _:
            return value


def knock_preference_set(set_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a set as Knock's API returns it."""
    sections = {
        name: {key: _knock_setting(setting) for key, setting in (settings.get(name) or {}).items()}
        for name in ("workflows", "categories")
    }
    return {"id": set_id, **sections, "channel_types": _knock_channel_types(settings.get("channel_types") or {})}


def _knock_setting(setting: Any) -> Any:
    if isinstance(setting, Mapping) and isinstance(types := setting.get("channel_types"), Mapping):
        return {**setting, "channel_types": _knock_channel_types(types)}
    return setting


def _knock_channel_types(types: Mapping[str, Any]) -> dict[str, Any]:
    return {_KNOCK_CHANNEL_TYPES.get(name, name): value for name, value in types.items()}


def _keyed_items(value: list[Any], key: str, conversion: Conversion, path: str) -> list[tuple[str, Any, str]]:
    """Return the items with their keys and paths. Items without a key are rejected."""
    items = []
    for index, one in enumerate(value):
        if isinstance(one, dict) and isinstance(one.get(key), str):
            items.append((one[key], one, f"{path}[{index}]"))
        else:
            conversion.reject(f"{path}[{index}].{key}", "is required")
    return items


def _unwrap_data(one: Any) -> Any:
    """Return the data itself, which a response of the API wraps."""
    match one:
        case {"channel_id": _, "data": data}:
            return data
        case _:
            return one


def _convert_set(one: Any, conversion: Conversion, path: str) -> Any:
    if not isinstance(one, dict):
        return one
    if one.get("__persistence_strategy__", "replace") != "replace":
        conversion.reject(f"{path}.__persistence_strategy__", "must be replace: an import sends whole preference sets")
    settings: dict[str, Any] = {}
    for name, value in _supported(one, conversion, path).items():
        match name, value:
            case (("id" | "__typename" | "__persistence_strategy__"), _):
                pass
            case (("workflows" | "categories"), dict()):
                converted = {
                    key: _convert_setting(setting, conversion, f"{path}.{name}.{key}") for key, setting in value.items()
                }
                settings[name] = {key: setting for key, setting in converted.items() if setting not in (None, {})}
            case "channel_types", dict():
                settings[name] = _convert_channel_types(value, conversion, f"{path}.{name}")
            case _:
                settings[name] = value
    return settings


def _convert_setting(setting: Any, conversion: Conversion, path: str) -> Any:
    """Convert the setting of a workflow or category."""
    if not isinstance(setting, dict):
        return setting
    converted = _supported(setting, conversion, path)
    if isinstance(types := converted.get("channel_types"), dict):
        converted["channel_types"] = _convert_channel_types(types, conversion, f"{path}.channel_types")
    return converted


def _convert_channel_types(types: Mapping[str, Any], conversion: Conversion, path: str) -> dict[str, Any]:
    converted = {}
    for name, value in types.items():
        if isinstance(value, dict):
            value = _supported(value, conversion, f"{path}.{name}")
        if value not in (None, {}):
            converted[_CHANNEL_TYPES.get(name, name)] = value
    return converted


def _supported(part: Mapping[str, Any], conversion: Conversion, path: str) -> dict[str, Any]:
    """Return the part without nulls and without settings that Rollbook does not support."""
    supported = {}
    for name, value in part.items():
        if value is None:
            continue
        if name not in _UNSUPPORTED:
            supported[name] = value
        elif _allows_messages(value):
            conversion.left_out += [name] if value else []
        else:
            conversion.reject(f"{path}.{name}", _MAY_SUPPRESS)
    return supported


def _allows_messages(value: Any) -> bool:
    """Return whether a setting suppresses no message: all its values are true, or it is empty."""
    return (
        value is True or value in ([], {}) or (isinstance(value, dict) and all(map(_allows_messages, value.values())))
    )
