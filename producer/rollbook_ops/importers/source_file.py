"""The file that is imported: locked while it is, and copied if it is a pipe."""

from __future__ import annotations

import fcntl
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rollbook_ops.file_format import NotImportable


@contextmanager
def copied_stream(path: Path) -> Iterator[Path]:
    """Copy what a pipe holds (`-` is stdin) into a temporary file of this account, and return its path.

    An import reads its file twice and continues within it, which a pipe does not allow.
    """
    with tempfile.TemporaryDirectory(prefix="rollbook-import-") as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as target:
            if path == Path("-"):
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, target)
        yield copy


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock with which one import at a time owns a file.

    Raises:
        NotImportable: another process imports it.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotImportable(f"{path.name} is being imported by another process; wait until it ends") from None
        except OSError:
            pass  # a file system without locks
        yield
