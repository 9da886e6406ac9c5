"""Folders of one owner at a time.

A folder belongs to whoever holds the lock on its lock file. The servers inherit the locked descriptor, so
the lock is free only when the launcher *and* every server process it started are gone: then what lies there
may be reused or removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rollbook_ops.devstack.errors import ServerFailed

# Seconds to wait for the servers of a killed run to end: Postgres may have much to write.
PATIENCE = 30.0
_PREFIX = "rollbook-local-"
_LOCK = ".rollbook-lock"


class OwnedFolder:
    """A folder and the lock that makes it ours."""

    def __init__(self, path: Path, descriptor: int, *, temporary: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        self._temporary = temporary

    def release(self) -> None:
        """Give the folder up; remove it if it is temporary."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.descriptor)


def own_temporary_folder() -> OwnedFolder:
    """Make a temporary folder of ours, after removing those that killed runs have left."""
    _remove_abandoned()
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = _take_lock(path)
        # Another run may have found our new folder unlocked and removed it.
        if descriptor is not None:
            # Servers that run as another account must pass through.
            path.chmod(0o711)
            return OwnedFolder(path, descriptor, temporary=True)


def own_data_folder(path: Path) -> OwnedFolder:
    """Make `path` ours, waiting for the servers of a killed run to end."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o711)
    path = path.resolve()
    deadline = time.monotonic() + PATIENCE
    while (descriptor := _take_lock(path)) is None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"{path} is in use by another run; stop that one or choose another folder")
        time.sleep(0.05)
    return OwnedFolder(path, descriptor, temporary=False)


def _remove_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # Somebody else's folder, a trap (a link), or a thing of that name that was never ours: it has no lock file.
            if path.is_symlink() or path.stat().st_uid != os.geteuid() or not (path / _LOCK).is_file():
                continue
            if (descriptor := _take_lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(descriptor)


def _take_lock(path: Path) -> int | None:
    """Lock the folder, or return None: somebody holds it, or has removed it meanwhile."""
    lock = path / _LOCK
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
