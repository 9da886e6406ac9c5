"""What is tried again, and when. Only infrastructure failures are: a job that is invalid stays invalid, and is a
dead letter.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60


def pause(retries: int, chance: random.Random | None = None, *, longest: float = LONGEST_PAUSE_SECONDS) -> float:
    """Seconds to wait before the next try: doubling, at most `longest`, spread so that workers do not return all at
    once.
    """
    most = min(longest, FIRST_PAUSE_SECONDS * 2.0 ** min(retries, 16))
    return (chance or random).uniform(most / 2, most)
