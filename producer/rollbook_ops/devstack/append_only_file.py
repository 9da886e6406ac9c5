"""Repairs the append-only file of a Redis that was killed within a transaction.

When Redis starts again, it removes the command that it was writing, but keeps the earlier commands of the transaction,
which then has no end. At the next start Redis reads everything that it confirmed since as a part of that transaction
and discards it; or, if another transaction ended in between, it executes the half transaction, and the jobs that this
took from a queue are lost. (Seen with Redis 7.0.15, not with Valkey 9.1.2;
https://github.com/valkey-io/valkey/pull/4342.) Redis writes scripts as transactions, so a server that Rollbook uses is
often in one.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.accounts import Account

_CHECKERS: Final = {"redis-server": "redis-check-aof", "valkey-server": "valkey-check-aof"}
FOLDER: Final = "appendonlydir"
"""The folder of the append-only file, within the folder of the server."""


def repair(home: Path, program: Path, account: Account | None = None) -> None:
    """Remove an incomplete transaction, if `program` has left one in its folder.

    Call it when the server was killed and has not run since: the checker that comes with the server also removes
    everything that follows. Does nothing if there is no checker next to the program, or `account` may not run it. If
    the checker cannot repair the file, the server decides at its start whether it can read it.

    account: runs the checker; None: this process's own.
    """
    name = _CHECKERS.get(program.name)
    if name is None or not (checker := program.with_name(name)).exists():
        return
    for manifest in (home / FOLDER).glob("*.manifest"):
        with suppress(PermissionError):  # not as root in its place: the files are the account's, and may be links
            subprocess.run(
                [checker, "--fix", manifest],
                input=b"y\n",
                capture_output=True,
                check=False,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
