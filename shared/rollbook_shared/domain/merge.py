"""What a merge adds to the primary's profile: nested properties are merged, gaps are filled, its own values stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True, slots=True)
class Profile:
    """All that is known of one user, by section. An attribute that is null counts as absent."""

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
        preferences=_merged_sections(
            primary.preferences, secondary.preferences, _merge_opt_outs if keep_opt_outs else _primary_wins
        ),
        channel_data=_merged_sections(
            primary.channel_data, secondary.channel_data, _merge_push_tokens if merge_tokens else _primary_wins
        ),
    )


def _merged_sections(
    primary: Mapping[str, Any], secondary: Mapping[str, Any], both: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    """The entries of either; `both` merges those that both have."""
    shared = {key: both(primary[key], secondary[key]) for key in primary.keys() & secondary.keys()}
    return {**secondary, **primary, **shared}


def _primary_wins(primary: Any, secondary: Any) -> Any:
    return primary


def _merge_opt_outs(primary: Mapping[str, Any], secondary: Mapping[str, Any]) -> dict[str, Any]:
    """The primary's settings, with every opt-out of the secondary."""
    settings = dict(primary)
    for section, others in secondary.items():
        own = dict(settings.get(section, {}))
        for key, other in others.items():
            if other is False:
                own[key] = False
            elif isinstance(other, dict) and own.get(key) is not False:
                outs = {channel: False for channel, is_on in other.get("channel_types", {}).items() if not is_on}
                if outs:
                    channels = own[key]["channel_types"] if isinstance(own.get(key), dict) else {}
                    own[key] = {"channel_types": {**channels, **outs}}
        if own:
            settings[section] = own
    return settings


def _merge_push_tokens(primary: Any, secondary: Any) -> Any:
    """The primary's channel data, with the tokens of both if both have a list: the primary's first, each once; and with
    the devices of the tokens that are added.
    """
    own, other = primary.get("tokens"), secondary.get("tokens")
    if not isinstance(own, list) or not isinstance(other, list):
        return primary
    tokens = _each_once([*own, *other])
    added = [token for token in tokens if token not in own]
    merged = {**primary, "tokens": tokens}
    own_devices, devices = (
        either["devices"] if isinstance(either.get("devices"), list) else [] for either in (primary, secondary)
    )
    if taken := [device for device in devices if isinstance(device, dict) and device.get("token") in added]:
        merged["devices"] = [*own_devices, *taken]
    return merged


def _each_once(values: list[Any]) -> list[Any]:
    once: list[Any] = []
    for value in values:
        if value not in once:
            once.append(value)
    return once


def deep_merge(primary: Mapping[str, Any], secondary: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merged key by key, at every depth; everything else is a value, and the primary's wins.

    Not associative where objects meet plain values (`{p: {}}`, `{p: null}`, `{p: {p: null}}`), so a merged result
    must never be stored and merged again.
    """
    merged = {**secondary, **primary}
    for key in primary.keys() & secondary.keys():
        if isinstance(primary[key], dict) and isinstance(secondary[key], dict):
            merged[key] = deep_merge(primary[key], secondary[key])
    return merged
