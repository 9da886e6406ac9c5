"""Tells Python's cycle collector that a worker makes trees: it frees jobs when the last name of them goes."""

from __future__ import annotations

import gc
from typing import Any, Final

_YOUNG: Final = 50_000
"""Objects that outlive their makers before the youngest are searched; Python's own is 700, a bulk job holds more."""


def collect_rarely(**signal: Any) -> None:
    """Search for cycles rarely, and never among what the imports made.

    Searching was a sixth of what a worker's thread did with bulk jobs, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
