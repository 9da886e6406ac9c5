"""The account the servers run as."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rollbook_ops.devstack.errors import ServerFailed


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of this machine without privileges."""

    name: str
    uid: int
    gid: int

    def give(self, path: Path) -> None:
        """Make this account the owner of `path`."""
        os.chown(path, self.uid, self.gid)

    def can_run(self, *command: str | Path) -> bool:
        """Tell whether `command` runs and succeeds as this account."""
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

    def require_reach(self, folder: Path) -> None:
        """Refuse a folder that lies below one this account may not enter."""
        if not self.can_run("/bin/sh", "-c", 'cd "$1"', "sh", folder):
            raise ServerFailed(
                f"Postgres refuses to run as root, so the servers run as {self.name!r}, which cannot enter {folder}; "
                "use a folder outside your home"
            )


def server_account(data: Path) -> Account | None:
    """Choose whom the servers run as: ourselves (None), or when we are root somebody without privileges.

    That is the owner of the data if there are any, else `postgres` or `nobody`.
    """
    if os.geteuid() != 0:
        return None
    # Postgres wants to run as the owner of its data, and an earlier run may have had other accounts to choose from.
    if data.exists() and (owner := data.stat().st_uid) != 0:
        entry = pwd.getpwuid(owner)
        return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise ServerFailed("Postgres refuses to run as root, and there is neither a postgres nor a nobody account")
