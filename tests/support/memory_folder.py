"""Temporary files of tests in memory, where there is room: servers create and remove thousands of files.

On a disk the kernel spends a tenth of the processor time of a run with them, most of it on inodes.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import psutil
import pytest

_FOLDER: Final = Path("/dev/shm")
_LEAST_BYTES: Final = 6_000_000_000
"""Of memory that is free. Three runs beside each other were seen to take 1 to 2 GB in all; the write-ahead log of a
server may become 1 GB.
"""


def use_memory(patch: pytest.MonkeyPatch) -> None:
    """Let this process and its children make temporary files in memory, but for what tests leave in `tmp_path`.

    Does nothing where the environment names a folder, or memory is scarce.
    """
    if "TMPDIR" in os.environ or not _has_room():
        return
    patch.setenv("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    patch.setenv("TMPDIR", str(_FOLDER))
    patch.setattr(tempfile, "tempdir", None)


def _has_room() -> bool:
    if not os.access(_FOLDER, os.W_OK):
        return False
    found = os.statvfs(_FOLDER)
    if found.f_flag & os.ST_NOEXEC:  # servers may run as copies of their programs
        return False
    return min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available) >= _LEAST_BYTES
