"""The account that the servers run as.

Root gives that account folders, and then trusts nothing in them: the account could put links there. Files that root
writes for a server are in root's own folder.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from rollbook_ops.devstack.errors import ServerFailed

_UNPRIVILEGED: Final = ("postgres", "nobody")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int

    def own(self, file: IO[Any]) -> None:
        """Make this account the owner of an open file."""
        os.fchown(file.fileno(), self.uid, self.gid)

    def own_folder(self, folder: Path) -> None:
        """Make this account the owner of a folder.

        Raises:
            ServerFailed: it is a link, or no folder.
        """
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise ServerFailed(f"{folder} is not a folder of its own ({error.strerror}); remove it") from None
        try:
            os.fchown(descriptor, self.uid, self.gid)
        finally:
            os.close(descriptor)

    def can_run(self, *command: str | Path) -> bool:
        """Return whether `command` runs and succeeds as this account."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                check=False,
            )
        except PermissionError:
            return False
        return done.returncode == 0

    def require_access(self, folder: Path) -> None:
        """Reject a folder below one that this account may not enter."""
        if not self.can_run("/bin/sh", "-c", 'cd "$1"', "sh", folder):
            raise ServerFailed(
                f"Postgres does not run as root, so the servers run as {self.name!r}, which cannot enter {folder}; "
                "use a folder outside your home folder"
            )


def server_account(data: Path) -> Account | None:
    """Return the account that the servers run as: None is this process's own; for root it is an unprivileged one.

    That is the owner of the data if there are any, otherwise the first of `_UNPRIVILEGED` that exists.

    Raises:
        ServerFailed: this process runs as root, and none of them exists.
    """
    if os.geteuid() != 0:
        return None
    # Postgres must run as the owner of its data, and an earlier run may have had a choice of other accounts.
    if data.exists() and (owner := data.stat().st_uid) != 0:
        entry = pwd.getpwuid(owner)
        return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    names = " nor ".join(_UNPRIVILEGED)
    raise ServerFailed(f"Postgres does not run as root, and this machine has neither an account {names}")
