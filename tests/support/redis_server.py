"""The Redis of this machine, if it has one."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

REDIS: Final = shutil.which("redis-server")
REDIS_NEEDED: Final = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not on the PATH (Debian: apt-get install redis-server)"
)
