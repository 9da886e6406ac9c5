"""What a Redis leaves that is killed while it writes a transaction."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

REDIS: Final = shutil.which("redis-server")
REDIS_NEEDED: Final = pytest.mark.skipif(
    REDIS is None, reason="redis-server is not on the PATH (Debian: apt-get install redis-server)"
)
HALF: Final = b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nRPOP\r\n$4\r\nlive\r\n*4\r\n$4\r\nHSET\r\n$7\r\nuna"
"""The end of its append-only file."""
