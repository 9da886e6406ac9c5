"""What a killed Redis leaves at the end of its append-only file: half a transaction.

Redis takes away the command that it was writing, and leaves those before it, of a transaction whose end never comes.
Whatever it confirms from then on is read as a part of it when it starts once more, and thrown away; or, if another
transaction has ended meanwhile, the half is carried out, and what it took from a queue is gone. (Seen with
Redis 7.0.15, and not with Valkey 9.1.2; https://github.com/valkey-io/valkey/pull/4342.) Scripts are written as
transactions, so a server that works for us is often in one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_CHECKERS: Final = {"redis-server": "redis-check-aof", "valkey-server": "valkey-check-aof"}
FOLDER: Final = "appendonlydir"
"""Where a server keeps its append-only file, within its own folder."""


def mend(home: Path, program: Path) -> None:
    """Take half a transaction away, if `program` has left one in its folder.

    To be called when the server was killed and has not run since: the checker that comes with it takes away all that
    follows, too. Does nothing where there is no checker beside the program; what that cannot mend the server judges.
    """
    name = _CHECKERS.get(program.name)
    if name is None or not (checker := program.with_name(name)).exists():
        return
    for manifest in (home / FOLDER).glob("*.manifest"):
        subprocess.run([checker, "--fix", manifest], input=b"y\n", capture_output=True, check=False)
