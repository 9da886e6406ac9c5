"""The preference rule in Python, for tests of the core without a server: a message is made only if every setting that
applies is true or absent.

Production runs the rule in SQL: the functions `effective_preferences`, `is_channel_enabled` and `setting_allows` of
migration 0001. A change of the rule must be made there; the contract tests of the store compare the two, and the oracle
has a third form of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

DEFAULT_SET: Final = "default"


def effective_preferences(sets: Mapping[str, Any], tenant: str | None) -> Mapping[str, Any]:
    """The settings that apply: the tenant's set if the user has one, otherwise `default`."""
    settings = sets.get(tenant) if tenant is not None else None
    return settings if settings is not None else sets.get(DEFAULT_SET) or {}


def is_channel_enabled(settings: Mapping[str, Any], *, workflow: str, categories: Iterable[str], channel: str) -> bool:
    """Whether the settings allow a message of this workflow and these categories on this channel."""
    return (
        _setting_allows(settings.get("workflows", {}).get(workflow), channel)
        and all(_setting_allows(settings.get("categories", {}).get(category), channel) for category in categories)
        and settings.get("channel_types", {}).get(channel, True) is not False
    )


def _setting_allows(setting: Any, channel: str) -> bool:
    if isinstance(setting, dict):
        return setting.get("channel_types", {}).get(channel, True) is not False
    return setting is not False
