"""Python processes that start in a tenth of a second of processor time, instead of one.

They are forked from a process that has imported Celery, SQLAlchemy and the like (`fork_server`). Each has its own
environment, folder, session and descriptors, and imports our packages itself. What differs: it has no command line and
no environment of its own in /proc, and at its end it runs what is registered for the exit, but no `__del__`. Tests of
how a program starts, and of what is left of it, start it themselves.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from tests.support import fork_server
from tests.support.repository import ROOT
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack import processes

_spawn: Final = processes.spawn  # tests put another one into its place
CAN_FORK: Final = sys.platform == "linux"


class ForkedProcess(subprocess.Popen[bytes]):
    """A process that the fork server has started; it says when it has ended."""

    def __init__(self, arguments: Sequence[str], pid: int) -> None:
        # nothing of Popen's own: it has no child to start
        self._child_created = False
        self.args = [sys.executable, *arguments]
        self.pid = pid
        self.stdin = self.stdout = self.stderr = None
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            self._write_stacks()
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def _write_stacks(self) -> None:
        """Let it and its children write to its log what they wait for."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for each in (process, *process.children(recursive=True)):
                each.send_signal(fork_server.STACKS_SIGNAL)
                self._ended.wait(1.0)  # one after the other, so that their lines do not mix


class _ForkServer:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, "-m", fork_server.__name__, str(theirs.fileno())]
        # it ends when we do: at the end of the socket
        self._process = subprocess.Popen(
            program,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # to which it writes as to a file, and so do those that it forks
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._running: dict[int, ForkedProcess] = {}
        self._lock = threading.Lock()
        self._started = threading.Condition()
        self._newest: ForkedProcess | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self, arguments: Sequence[str], descriptors: tuple[int, int, int], env: Mapping[str, str], cwd: Path
    ) -> ForkedProcess:
        request = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}).encode()
        assert len(request) < fork_server.LARGEST_REQUEST
        with self._lock, self._started:
            self._arguments = arguments
            socket.send_fds(self._control, [request], descriptors)
            assert self._started.wait_for(lambda: self._newest, DEADLINE_SECONDS), "the fork server does not answer"
            newest, self._newest = self._newest, None
            assert newest is not None
            return newest

    def _listen(self) -> None:
        while received := self._control.recv(fork_server.LARGEST_REQUEST):
            message: dict[str, Any] = json.loads(received)
            if "started" in message:
                with self._started:
                    # by now it may have ended, and the message about its end be the next one
                    self._newest = ForkedProcess(self._arguments, message["started"])
                    self._running[self._newest.pid] = self._newest
                    self._started.notify_all()
            else:
                self._running.pop(message["ended"]).end(message["status"])


_server: _ForkServer | None = None
_server_lock = threading.Lock()


def fork_python(
    arguments: Sequence[str], descriptors: tuple[int, int, int], env: Mapping[str, str], cwd: Path
) -> ForkedProcess:
    """Fork `python ARGUMENTS` with these three descriptors."""
    global _server
    with _server_lock:
        _server = _server or _ForkServer()
    return _server.start(arguments, descriptors, env, cwd)


def spawn_python(
    arguments: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start `python ARGUMENTS`, which are `-m MODULE ...` or `-c CODE ...`, with its output appended to the log.

    It leads a session of its own, and ends with the tests at the latest.
    """
    if not CAN_FORK:
        return _spawn([sys.executable, *arguments], log=log, env=env, cwd=cwd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return fork_python(arguments, (nothing, output, output), env if env is not None else os.environ, cwd)
    finally:
        os.close(nothing)
        os.close(output)


def spawn_forked(
    args: Sequence[str | Path],
    *,
    log: Path | int | None = None,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """In place of `processes.spawn`: start what is a Python program with `spawn_python`."""
    program, *arguments = map(str, args)
    if program == sys.executable and isinstance(log, Path):
        return spawn_python(arguments, log=log, env=env)
    return _spawn(args, log=log, env=env, **options)


def run_python(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS`, which are `-m MODULE ...` or `-c CODE ...`, until it ends, and give what it printed."""
    given = env if env is not None else os.environ
    if not CAN_FORK:
        return subprocess.run(
            [sys.executable, *arguments], env=given, cwd=cwd, capture_output=True, text=True, check=False,
            timeout=DEADLINE_SECONDS,
        )  # fmt: skip
    nothing = os.open(os.devnull, os.O_RDONLY)
    (out, their_out), (err, their_err) = os.pipe(), os.pipe()
    try:
        process = fork_python(arguments, (nothing, their_out, their_err), given, cwd)
    finally:
        for descriptor in (nothing, their_out, their_err):
            os.close(descriptor)
    texts: dict[int, str] = {}

    def read(descriptor: int) -> None:
        with open(descriptor, encoding="utf-8") as stream:
            texts[descriptor] = stream.read()

    readers = [threading.Thread(target=read, args=(descriptor,)) for descriptor in (out, err)]
    for reader in readers:
        reader.start()
    try:
        status = process.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        raise
    finally:
        for reader in readers:
            reader.join(DEADLINE_SECONDS)
    return subprocess.CompletedProcess(process.args, status, texts[out], texts[err])
