"""The face, as the commands open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook import Rollbook


def opened() -> Rollbook:
    """The Rollbook of the environment, for a `with` block.

    It is imported here and nowhere above: help and shell completion should not wait for it.
    """
    from rollbook import Rollbook

    return Rollbook.from_env()
