"""Folders that one run owns at a time.

The run that holds the lock on the folder's lock file owns the folder. The servers inherit the locked descriptor, so the
lock is free only when the launcher *and* every server process that it started have ended: then the content may be
reused or removed.
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

LOCK_TIMEOUT_SECONDS = 30.0
"""How long to wait until the servers of a killed run have ended: Postgres may have much to write."""
_PREFIX = "rollbook-local-"
_LOCK = ".rollbook-lock"


class OwnedFolder:
    """A folder, and the lock with which this run owns it."""

    def __init__(self, path: Path, descriptor: int, *, temporary: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        self._temporary = temporary

    def release(self) -> None:
        """Release the lock; remove the folder if it is temporary."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.descriptor)


def own_temporary_folder() -> OwnedFolder:
    """Make and own a temporary folder, after removing those that killed runs have left."""
    _remove_abandoned()
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = _try_lock(path)
        # Another run may have found the new folder unlocked and removed it.
        if descriptor is not None:
            # Servers that run as another account must be able to enter it.
            path.chmod(0o711)
            return OwnedFolder(path, descriptor, temporary=True)


def own_data_folder(path: Path) -> OwnedFolder:
    """Own `path`, after waiting until the servers of a killed run have ended."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o711)
    path = path.resolve()
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise ServerFailed(f"{path} is in use by another run; stop it or choose another folder")
        time.sleep(0.05)
    return OwnedFolder(path, descriptor, temporary=False)


def _remove_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # Skip folders of other accounts, links (a trap), and folders that no run made: they have no lock file.
            if path.is_symlink() or path.stat().st_uid != os.geteuid() or not (path / _LOCK).is_file():
                continue
            if (descriptor := _try_lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Lock the folder and return the descriptor; None if another run holds or has just removed it."""
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
