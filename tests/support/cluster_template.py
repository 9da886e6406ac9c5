"""New clusters of Postgres are copies of one that `initdb` has made: a tenth of its processor time.

They have the same password. What starts servers in a process of its own runs `initdb` itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rollbook_ops.devstack.postgres import PostgresServer

VARIABLE: Final = "ROLLBOOK_TEST_CLUSTER"
"""Of the environment: the folder with the template."""
_PASSWORD: Final = 2 * "0123456789abcdef"
"""As those are by which `rollbook up` knows the URL of an earlier run."""


def make_template_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a template, in which `copy_clusters` makes it when it is first needed."""
    folder = tempfile.TemporaryDirectory(prefix="rollbook-test-cluster-")
    Path(folder.name).chmod(0o711)  # the servers run as another account when the tests run as root
    return folder


def copy_clusters(folder: Path, patch: Callable[[type, str, Any], object] = setattr) -> None:
    """From now on, let servers that this process starts copy the template in the folder.

    patch: sets an attribute.
    """
    spawn = PostgresServer._spawn

    def spawn_or_copy(self: PostgresServer, command: list[str | Path]) -> subprocess.Popen[bytes]:
        if Path(command[0]).name != "initdb":
            return spawn(self, command)
        template = _template(self, command, folder, spawn)
        # `_prepare` saves it when the copy is made
        self._endpoint = replace(self._endpoint, password=_PASSWORD)
        return spawn(self, [shutil.which("cp") or "cp", "-R", template, command[command.index("-D") + 1]])

    patch(PostgresServer, "_spawn", spawn_or_copy)


def _template(server: PostgresServer, command: list[str | Path], folder: Path, spawn: Callable[..., Any]) -> Path:
    account = server._account
    made = folder / f"template-{account.uid if account else os.getuid()}"
    if made.exists():
        return made.resolve()
    own = Path(tempfile.mkdtemp(dir=folder))
    if account is not None:
        account.own_folder(own)
    password = folder / f"{own.name}.password"
    server._write_private(password, _PASSWORD)
    words = [f"--pwfile={password}" if str(word).startswith("--pwfile=") else word for word in command]
    words[words.index("-D") + 1] = own / "data"
    # by Postgres' own count, 4,096, a client computes for 3 ms at each connection
    words += ["-c", "scram_iterations=1"]
    status = spawn(server, words).wait()
    assert status == 0, server.log.read_text()
    with suppress(FileExistsError):  # others may have made it meanwhile
        made.symlink_to(own / "data")
    return made.resolve()
