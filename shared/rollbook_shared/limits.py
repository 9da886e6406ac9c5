"""How much a job may hold. The client enforces these limits; workers do not check them again, as a client may have
higher ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from rollbook_shared.environment import Duration, Number

TOKEN_CHARACTERS: Final = 4_096
"""Of a push token; those of some services have more than a thousand."""
USER_ID_CHARACTERS: Final = 256
NESTING: Final = 32
"""Levels of objects and lists in a value; a scalar has none."""
NUMBER_BITS: Final = 1024
"""Of an integer. A larger one is beyond a double's range, and takes quadratic time to print."""
HARD_BULK_USERS: Final = 10_000
"""Whatever the setting says: each user of a job has its own ordinal in the stamp."""
HARD_RECIPIENTS: Final = 10_000
"""Likewise; and one transaction writes all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the client accepts; the defaults are those of rules 5, 21 and 26. May differ from process to process."""

    max_bulk_users: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_BULK_USERS", f"Users in one bulk job; at most {HARD_BULK_USERS:,}, whatever is set.", least=1
        ),
    ] = 100
    max_recipients: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_RECIPIENTS",
            f"Recipients of one trigger; at most {HARD_RECIPIENTS:,}, whatever is set.",
            least=1,
        ),
    ] = 1_000
    max_properties_bytes: Annotated[
        int, Number("ROLLBOOK_MAX_PROPERTIES_BYTES", "The properties of one user in one job, as JSON.", unit="bytes")
    ] = 256 * 1024
    max_data_bytes: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_DATA_BYTES",
            "A preference set, the data of one channel, a trigger's `data`, and all of a user but the properties, "
            "each as JSON.",
            unit="bytes",
        ),
    ] = 256 * 1024
    max_clock_skew: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_MAX_CLOCK_SKEW_SECONDS", "How far `occurred_at` may lie ahead of the clock.", unit="seconds"
        ),
    ] = timedelta(minutes=5)
