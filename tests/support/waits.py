"""Waiting for an event, with a deadline that a busy machine meets too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

DEADLINE_SECONDS: Final = 120.0
"""After this time an event is taken for one that will never happen. Passing tests wait far shorter than this."""
_FIRST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.1


def wait_until(condition: Callable[[], object], *, within: float = DEADLINE_SECONDS, what: str = "it") -> None:
    """Evaluate `condition` again and again until it holds. `what` names the event in the failure."""
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {within:.0f} s"
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
