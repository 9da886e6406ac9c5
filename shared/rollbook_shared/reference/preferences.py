"""Whether a user wants to hear of something: a message is made only if every setting that applies is true or absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

DEFAULT_SET: Final = "default"


def settings_for(sets: Mapping[str, Any], tenant: str | None) -> Mapping[str, Any]:
    """The set that applies: the tenant's where the user has one, else `default`."""
    found = sets.get(tenant) if tenant is not None else None
    return found if found is not None else sets.get(DEFAULT_SET) or {}


def allowed(settings: Mapping[str, Any], *, workflow: str, categories: Iterable[str], channel: str) -> bool:
    """Whether the settings let a message of this workflow and these categories through on this channel."""
    return (
        _allows(settings.get("workflows", {}).get(workflow), channel)
        and all(_allows(settings.get("categories", {}).get(category), channel) for category in categories)
        and settings.get("channel_types", {}).get(channel, True) is not False
    )


def _allows(setting: Any, channel: str) -> bool:
    if isinstance(setting, dict):
        return setting.get("channel_types", {}).get(channel, True) is not False
    return setting is not False
