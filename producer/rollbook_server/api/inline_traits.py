"""The preference sets and channel data within the traits of a user, from Knock's words to Rollbook's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rollbook.formats.knock_preferences import Conversion, convert_preferences
from rollbook_server.api.push_devices import devices_as_tokens
from rollbook_server.http.errors import invalid
from rollbook_shared.errors import Problem

_STRATEGY: Final = "__persistence_strategy__"
_REPLACE_ONLY: Final = "must be replace here; PUT the preference set itself to merge"


def convert_traits(traits: Mapping[str, Any]) -> dict[str, Any]:
    """The traits of one user as the client takes them.

    Raises:
        ApiError: 422, a preference set has a setting that is not supported and could suppress a message, or is to be
            merged; or a device has no token.
    """
    converted, problems = _convert(traits)
    if problems:
        raise invalid(problems)
    return converted


def convert_users(users: Sequence[Any], *, name: str) -> list[Any]:
    """The users, each with its `id` and traits, as the client takes them. What is no object stays as it is.

    name: of the list in the request.

    Raises:
        ApiError: 422 with the problems of all of them, see `convert_traits`.
    """
    converted: list[Any] = []
    found: list[Problem] = []
    for index, user in enumerate(users):
        if not isinstance(user, Mapping):
            converted.append(user)
            continue
        traits, problems = _convert(user)
        converted.append(traits)
        found += [Problem(f"{name}[{index}].{problem.field}", problem.reason, index) for problem in problems]
    if found:
        raise invalid(found)
    return converted


def _convert(traits: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    converted, problems = dict(traits), []
    sets = traits.get("preferences")
    if isinstance(sets, dict):
        merged = [id for id, one in sets.items() if isinstance(one, dict) and one.get(_STRATEGY) == "merge"]
        problems += [Problem(f"preferences.{set_id}.{_STRATEGY}", _REPLACE_ONLY) for set_id in merged]
        if not problems:
            conversion = Conversion()
            converted["preferences"] = convert_preferences(sets, conversion)
            problems += conversion.problems
    channels = traits.get("channel_data")
    if isinstance(channels, dict):
        converted["channel_data"] = {
            channel: devices_as_tokens(data, f"channel_data.{channel}", problems) for channel, data in channels.items()
        }
    return converted, problems
