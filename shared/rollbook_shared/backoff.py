"""Exponential backoff with jitter: how long to wait before the next try.

The callers wait in different ways (on an event, on a condition, as a Celery countdown), so what they share is the
number and not a loop. stamina and tenacity bring the loop, and 35 ms of import time, for these few lines.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

_MAX_EXPONENT: Final = 64
"""Keeps the power a finite number, however often something fails; every `longest` is reached long before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """Delays that grow by `factor` with each failure, from `first` to `longest` seconds."""

    first: float
    longest: float
    factor: float = 2.0
    jitter: float = 0.5
    """The random part of each delay, from 0 to 1, so that many processes do not retry at once."""

    def delay(self, failures: int, rng: random.Random | None = None) -> float:
        """Seconds to wait after a failure that `failures` others came before without a success in between."""
        full = min(self.longest, self.first * self.factor ** min(failures, _MAX_EXPONENT))
        return (rng or random).uniform(full * (1 - self.jitter), full) if self.jitter else full
