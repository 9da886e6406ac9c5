"""Creates files that only this account may read, whatever another account has put in their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO


def create_private_file(path: Path) -> TextIO:
    """Create the file with mode 600, and open it for writing. A file or link that is there is removed, not followed.

    Raises:
        OSError: it cannot be created.
    """
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8")
