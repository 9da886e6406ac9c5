"""How many examples the laws are tried with: few by default, and with ROLLBOOK_EXAMPLES=10 ten times as many."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

_FACTOR: Final = float(os.environ.get("ROLLBOOK_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Hypothesis settings for `count` examples, or more where the environment asks for more."""
    return settings(
        max_examples=max(1, round(count * _FACTOR)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )
