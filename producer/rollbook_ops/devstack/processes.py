"""Child processes that do not outlive us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from rollbook_ops.devstack.accounts import Account

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    args: Sequence[str | Path],
    *,
    log: Path | int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when this process ends, however it ends (Linux only).

    The child leads a session of its own, so Ctrl-C reaches it only through us. Its output is appended to
    `log` (a file, or a descriptor as subprocess takes it); None leaves it with ours. Only the child itself
    gets the death signal: what it forks must watch it (Postgres does), so run Celery on the threads pool,
    which forks nothing. May be called from any thread.
    """

    def start() -> subprocess.Popen[bytes]:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if isinstance(log, Path) else log
        try:
            return subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output if output is None or output >= 0 else subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_tie_to_parent(os.getpid(), death_signal),
                pass_fds=pass_fds,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        finally:
            if isinstance(log, Path) and output is not None:
                os.close(output)

    return start() if threading.current_thread() is threading.main_thread() else _in_lasting_thread(start)


def stop(
    process: subprocess.Popen[bytes],
    grace: float = 10.0,
    *,
    by: signal.Signals = signal.SIGTERM,
) -> int:
    """Ask the child to end, kill what is left of its process group after `grace` seconds, return its status.

    Idempotent.
    """
    # asked before: `ask` may find the child ended already, and what it left behind is to end all the same
    was_running = process.poll() is None
    ask(process, by=by)
    with suppress(subprocess.TimeoutExpired):
        if was_running:
            process.wait(grace)
            _kill_group(process)
    return kill(process)


def ask(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM) -> None:
    """Ask the child to end, without waiting for it: several can then end side by side."""
    if process.poll() is None:
        process.send_signal(by)
        # A stopped process (SIGSTOP, as fault tests do) acts on the signal only once it continues.
        process.send_signal(signal.SIGCONT)


def kill(process: subprocess.Popen[bytes]) -> int:
    """End the child and its process group at once, return its status. Idempotent."""
    # Once its status is collected the number may be another process's: never signal it then.
    if process.poll() is None:
        _kill_group(process)
    return process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _tie_to_parent(parent: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    libc = _libc
    if libc is None:
        return None

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        # The parent may have died between fork and prctl: then no signal will ever come.
        if os.getppid() != parent:
            os._exit(1)

    return tie


_work: SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]] = SimpleQueue()
_work_lock = threading.Lock()
_worker: threading.Thread | None = None


def _in_lasting_thread(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Fork in a thread that lives as long as we do.

    The kernel sends the death signal when the forking *thread* ends, not the process.
    """
    global _worker
    with _work_lock:
        if _worker is None:
            _worker = threading.Thread(target=_serve, name="rollbook-spawn", daemon=True)
            _worker.start()
    future: Future[subprocess.Popen[bytes]] = Future()
    _work.put((start, future))
    return future.result()


def _serve() -> None:
    while True:
        start, future = _work.get()
        try:
            future.set_result(start())
        except BaseException as error:
            future.set_exception(error)
