"""Child processes that end with this process."""

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

    The child leads its own session, so the terminal's Ctrl-C does not reach it. Its output is appended to `log` (a
    file, or a descriptor as subprocess takes it); with None it writes to this process's output. Only the child itself
    gets the death signal: processes that it forks must watch it, as Postgres' do. So run Celery with the threads pool,
    which does not fork. May be called from any thread.
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

    return start() if threading.current_thread() is threading.main_thread() else _in_permanent_thread(start)


def stop(
    process: subprocess.Popen[bytes],
    grace: float = 10.0,
    *,
    by: signal.Signals = signal.SIGTERM,
) -> int:
    """Request the child to end, kill the rest of its process group after `grace` seconds, and return the exit status.

    Idempotent.
    """
    # Checked before the request: the child may end in between, and the rest of its process group must still be killed.
    was_running = process.poll() is None
    request_stop(process, by=by)
    with suppress(subprocess.TimeoutExpired):
        if was_running:
            process.wait(grace)
            _kill_group(process)
    return kill(process)


def request_stop(process: subprocess.Popen[bytes], *, by: signal.Signals = signal.SIGTERM) -> None:
    """Request the child to end, without waiting for it, so that several can end at the same time."""
    if process.poll() is None:
        process.send_signal(by)
        # A stopped process (by SIGSTOP, as in fault tests) handles the signal only after it continues.
        process.send_signal(signal.SIGCONT)


def kill(process: subprocess.Popen[bytes]) -> int:
    """Kill the child and its process group, and return its exit status. Idempotent."""
    # After the status is collected, another process may get this process id: never signal it then.
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
        # A handler of this process would catch the signal, and lose it, until the child's program begins.
        signal.signal(death_signal, signal.SIG_DFL)
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        # If the parent died between fork and prctl, no signal will come.
        if os.getppid() != parent:
            os._exit(1)

    return tie


_work: SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]] = SimpleQueue()
_work_lock = threading.Lock()
_worker: threading.Thread | None = None


def _in_permanent_thread(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Fork in a thread that lives as long as this process.

    The kernel sends the death signal when the forking *thread* ends, not when the process ends.
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
