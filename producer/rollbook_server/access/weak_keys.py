"""Finds keys that may be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MIN_CHARACTERS: Final = 20
"""Of a key that cannot be guessed: hexadecimal digits at random are 80 bits then."""
_EXAMPLES: Final = ("change-me", "rollbook")
"""What the files in `deploy` have where a key belongs."""


def weak_keys(keys: Sequence[str]) -> int:
    """How many of the keys are short, or begin as those of the examples do."""
    return sum(len(key) < MIN_CHARACTERS or key.lower().startswith(_EXAMPLES) for key in keys)
