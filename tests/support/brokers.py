"""Which program the tests start as their broker: Valkey, or what ROLLBOOK_TEST_BROKER_PROGRAM names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rollbook_ops.devstack.binaries import find_valkey


def broker_program() -> Path:
    """Find it. With `redis-server` all that the tests do to a broker is done to a Redis."""
    if not (named := os.environ.get("ROLLBOOK_TEST_BROKER_PROGRAM")):
        return find_valkey()
    if not (found := shutil.which(named)):
        raise FileNotFoundError(f"ROLLBOOK_TEST_BROKER_PROGRAM: there is no {named}")
    return Path(found)
