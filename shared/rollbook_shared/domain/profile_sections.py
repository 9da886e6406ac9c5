"""The sections of a profile, and its flat form as it is stored: each key is a section's prefix, a dot, and the name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.merge import Profile


class Section(StrEnum):
    """The kinds of keys of a user. In the last two, `null` means that the key was removed."""

    ATTRIBUTES = "a"
    PROPERTIES = "p"
    PREFERENCES = "s"
    CHANNEL_DATA = "c"


@functools.lru_cache(maxsize=4096)  # the same few names again and again
def trait_key(name: str) -> str:
    """The stored key of an attribute or property."""
    return f"a.{name}" if name in ATTRIBUTES else f"p.{name}"


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
