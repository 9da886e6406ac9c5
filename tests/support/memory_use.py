"""The memory of another process, where Linux says it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

MEMORY_IS_KNOWN: Final = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")


class PeakMemory:
    """How much more memory a process had at most since this was made."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        (self._process / "clear_refs").write_text("5")  # the peak begins again
        self._before = self._bytes("VmRSS")

    @property
    def growth(self) -> int:
        """Bytes."""
        return self._bytes("VmHWM") - self._before

    def _bytes(self, name: str) -> int:
        for line in (self._process / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)
