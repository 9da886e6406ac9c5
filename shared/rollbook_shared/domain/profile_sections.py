"""The sections of a profile, and its flat form as it is stored: each key is a section's prefix, a dot, and the name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.merge import Profile


class Section(StrEnum):
    """The kinds of keys of a user. In the last two, `null` means that the key was removed."""

    ATTRIBUTES = "a"
    PROPERTIES = "p"
    PREFERENCES = "s"
    CHANNEL_DATA = "c"


class _TraitKeys(dict[str, str]):
    """Stored keys by name, remembered: the same few names come again and again. An `lru_cache` takes twice as long."""

    def __missing__(self, name: str) -> str:
        key = f"a.{name}" if name in ATTRIBUTES else f"p.{name}"
        if len(self) < _REMEMBERED_KEYS:
            self[name] = key
        return key


_REMEMBERED_KEYS: Final = 4_096
TRAIT_KEYS: Final[Mapping[str, str]] = _TraitKeys()
"""The stored key of every attribute and property, by its name."""


def profile_of(flat: Mapping[str, Any]) -> Profile:
    """The profile of its flat form."""
    profile = Profile()
    sections = {
        "a": profile.attributes,
        "p": profile.properties,
        "s": profile.preferences,
        "c": profile.channel_data,
    }
    for key, value in flat.items():
        if value is not None or key[0] in "ap":
            sections[key[0]][key[2:]] = value
    return profile


def flat_profile(profile: Profile) -> dict[str, Any]:
    """The flat form of a profile, as it is stored."""
    sections = {"a": profile.attributes, "p": profile.properties, "s": profile.preferences, "c": profile.channel_data}
    return {f"{prefix}.{name}": value for prefix, section in sections.items() for name, value in section.items()}
