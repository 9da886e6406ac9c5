"""A command whose Python processes are forks of itself: `python -m tests.support.forked_command MODULE ARGUMENTS`.

To start a stack from nothing takes seven imports of Celery, half a second of processor time each and more. Here a child
is a fork that becomes what the program would be: it is started, tied to its parent and given its session, descriptors,
folder and environment by `devstack.processes` as any other. What differs is what `python_processes` says.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

from tests.support import fork_server
from tests.support.cluster_template import VARIABLE, copy_clusters

from rollbook_ops.devstack import processes

_INHERITED: Final = (0, 1, 2)


class ForkingPopen(subprocess.Popen[bytes]):
    """Forks where `python` is started, and starts every other program."""

    def __init__(self, args: Sequence[str | Path], **options: Any) -> None:
        program, *arguments = map(str, args)
        if program != sys.executable:
            super().__init__(args, **options)
            return
        self._child_created = True
        self._waitpid_lock = threading.Lock()
        self._sigint_wait_secs = 0.25
        self.args = list(map(str, args))
        self.stdin = self.stdout = self.stderr = None
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run(arguments, **options)


def _run(
    arguments: list[str],
    *,
    stdout: int,
    env: Mapping[str, str],
    cwd: Path | None,
    preexec_fn: Callable[[], None],
    pass_fds: Collection[int],
    **_: Any,
) -> NoReturn:
    status = 1
    try:
        _become(stdout, env, preexec_fn, {*_INHERITED, *pass_fds})
        os.chdir(cwd or ".")
        fork_server.run(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    fork_server.exit_(status)


def _become(output: int, env: Mapping[str, str], preexec_fn: Callable[[], None], kept: set[int]) -> None:
    """Take on what a program that is started anew is given, and leave what was its parent's."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in zip((nothing, output, output), _INHERITED, strict=True):
        os.dup2(descriptor, number)
    preexec_fn()
    atexit._clear()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # that of the listing
                os.close(int(name))
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None
    gc.freeze()


def main() -> None:
    """Do what `python -m` does with the arguments."""
    tempfile.tempdir = None  # as the fork server has found it
    setattr(processes, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": ForkingPopen}))  # noqa: B010
    copy_clusters(Path(os.environ[VARIABLE]))
    fork_server.run(["-m", *sys.argv[1:]])


if __name__ == "__main__":
    main()
