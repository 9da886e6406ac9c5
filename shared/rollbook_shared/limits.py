"""How much a job may hold. The face holds callers to these; a worker believes what a face (perhaps set higher) has
let through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

USER_ID_CHARACTERS: Final = 256
NESTING: Final = 32
"""Levels of objects and lists in a value; a property that is a plain value has none."""
NUMBER_BITS: Final = 1024
"""Of an integer. Beyond a double's range it is no trait of a person, and costs quadratic time to print."""
HARD_BULK_USERS: Final = 10_000
"""Whatever the setting says: every user of a job needs a place of its own in the stamp."""
HARD_RECIPIENTS: Final = 10_000
"""Likewise; and all of them are written in one transaction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the face accepts; the defaults are those of rules 5, 21 and 26. May differ from process to process."""

    bulk_users: int = 100
    """Users in one bulk job; at most `HARD_BULK_USERS`, whatever is set."""
    recipients: int = 1_000
    """Recipients of one trigger; at most `HARD_RECIPIENTS`, whatever is set."""
    properties_bytes: int = 256 * 1024
    """Of one user in one job, as JSON."""
    data_bytes: int = 256 * 1024
    """Of a preference set, of one channel's data, of a trigger's `data`; and of all that is told of a user beside the
    properties.
    """
    future: timedelta = timedelta(minutes=5)
    """How far ahead of this machine's clock `occurred_at` may lie."""
