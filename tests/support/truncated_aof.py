"""The append-only file of a Redis that was killed within a transaction."""

from __future__ import annotations

from typing import Final

HALF: Final = b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nRPOP\r\n$4\r\nlive\r\n*4\r\n$4\r\nHSET\r\n$7\r\nuna"
"""The end of the append-only file."""
