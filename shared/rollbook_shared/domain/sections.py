"""The sections of what is told about a user, and the flat form in which they are stored: a letter, a dot, the name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.merge import Profile


class Section(StrEnum):
    """The kinds of key a user has. In the last two, `null` means that the key was taken away."""

    ATTRIBUTES = "a"
    PROPERTIES = "p"
    PREFERENCES = "s"
    CHANNEL_DATA = "c"


@functools.lru_cache(maxsize=4096)  # the same few, over and over
def trait_key(name: str) -> str:
    """The stored key of an attribute or property."""
    return f"a.{name}" if name in ATTRIBUTES else f"p.{name}"


def profile_of(data: Mapping[str, Any]) -> Profile:
    """The profile that stored data holds."""
    profile = Profile()
    place = {
        "a": profile.attributes,
        "p": profile.properties,
        "s": profile.preferences,
        "c": profile.channel_data,
    }
    for key, value in data.items():
        if value is not None or key[0] in "ap":
            place[key[0]][key[2:]] = value
    return profile


def flat_profile(profile: Profile) -> dict[str, Any]:
    """The stored form of a profile."""
    sections = {"a": profile.attributes, "p": profile.properties, "s": profile.preferences, "c": profile.channel_data}
    return {f"{letter}.{name}": value for letter, section in sections.items() for name, value in section.items()}
