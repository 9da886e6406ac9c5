"""What a primary takes over from its secondary: nested properties merged, gaps filled, nothing of its own given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True, slots=True)
class Profile:
    """What is known of one person, by section. Attributes that are absent or null are none."""

    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)
    channel_data: dict[str, Any] = field(default_factory=dict)


def merge_profiles(
    primary: Profile, secondary: Profile, *, keep_opt_outs: bool = False, merge_tokens: bool = False
) -> Profile:
    """The primary after the merge; neither argument is changed.

    Properties are deep merged: where both have a value that is not an object, the primary's wins, and `null` is such
    a value. An attribute is filled only where the primary has none. Preference sets and channel data are added whole
    where the primary lacks them.
    """
    return Profile(
        attributes=secondary.attributes
        | {name: value for name, value in primary.attributes.items() if value is not None},
        properties=deep_merge(primary.properties, secondary.properties),
        preferences=_united(primary.preferences, secondary.preferences, _with_opt_outs if keep_opt_outs else _first),
        channel_data=_united(primary.channel_data, secondary.channel_data, _with_tokens if merge_tokens else _first),
    )


def _united(
    primary: Mapping[str, Any], secondary: Mapping[str, Any], both: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """Either's entries; what is made of those that both have, `both` says."""
    shared = {key: both(primary[key], secondary[key]) for key in primary.keys() & secondary.keys()}
    return {**secondary, **primary, **shared}


def _first(primary: Any, secondary: Any) -> Any:
    return primary


def _with_opt_outs(primary: Mapping[str, Any], secondary: Mapping[str, Any]) -> dict[str, Any]:
    """The primary's settings, less whatever the secondary opted out of."""
    settings = dict(primary)
    for section, choices in secondary.items():
        mine = dict(settings.get(section, {}))
        for key, choice in choices.items():
            if choice is False:
                mine[key] = False
            elif isinstance(choice, dict) and mine.get(key) is not False:
                outs = {channel: False for channel, wanted in choice.get("channel_types", {}).items() if not wanted}
                if outs:
                    own = mine[key]["channel_types"] if isinstance(mine.get(key), dict) else {}
                    mine[key] = {"channel_types": {**own, **outs}}
        if mine:
            settings[section] = mine
    return settings


def _with_tokens(primary: Any, secondary: Any) -> Any:
    """The primary's channel data; lists of tokens are put together, the primary's first, each once."""
    mine, theirs = primary.get("tokens"), secondary.get("tokens")
    if not isinstance(mine, list) or not isinstance(theirs, list):
        return primary
    return {**primary, "tokens": [*mine, *(token for token in theirs if token not in mine)]}


def deep_merge(primary: Mapping[str, Any], secondary: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merged key by key, at every depth; anything else is a value, and the primary's wins.

    Not associative where objects meet plain values (`{p: {}}`, `{p: null}`, `{p: {p: null}}`), so a merged result
    must never be stored and merged again.
    """
    merged = {**secondary, **primary}
    for key in primary.keys() & secondary.keys():
        if isinstance(primary[key], dict) and isinstance(secondary[key], dict):
            merged[key] = deep_merge(primary[key], secondary[key])
    return merged
