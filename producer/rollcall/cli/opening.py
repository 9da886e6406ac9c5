"""The face, as the commands open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollcall import Rollcall


def opened() -> Rollcall:
    """The Rollcall of the environment, for a `with` block.

    It is imported here and nowhere above: help and shell completion should not wait for it.
    """
    from rollcall import Rollcall

    return Rollcall.from_env()
