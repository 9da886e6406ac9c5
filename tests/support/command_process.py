"""A `rollbook` command as a process, and all processes that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

import psutil
from tests.support import cluster_template
from tests.support.python_processes import CAN_FORK, fork_python
from tests.support.waits import DEADLINE_SECONDS

_MARK: Final = "ROLLBOOK_TEST_MARK"


class CommandProcess:
    """The command, its output line by line, and the processes that it started."""

    def __init__(self, process: subprocess.Popen[Any], mark: str, folder: Path) -> None:
        self.process = process
        self.lines: list[str] = []
        self._mark = mark
        self._folder = folder
        self._queue: Queue[str | None] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, text: str) -> str:
        """Wait for a line of output that contains `text`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                line = None
            assert line is not None, f"no {text!r} in the output:\n{''.join(self.lines)}"
            self.lines.append(line)
            if text in line:
                return line.rstrip("\n")

    def wait(self) -> int:
        """Wait for the end, and return the exit code."""
        status = self.process.wait(DEADLINE_SECONDS)
        while (line := self._queue.get(timeout=DEADLINE_SECONDS)) is not None:
            self.lines.append(line)
        return status

    def left_behind(self) -> list[psutil.Process]:
        """All its processes that still run, including itself."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def assert_nothing_is_left(self) -> None:
        """Wait until every process has ended."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while left := self.left_behind():
            assert time.monotonic() < deadline, f"still running: {[process.cmdline() for process in left]}"
            psutil.wait_procs(left, timeout=0.2)

    def _is_ours(self, process: psutil.Process) -> bool:
        # Postgres and Valkey get an environment of their own, but live in the folder.
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            return process.environ().get(_MARK) == self._mark or Path(process.cwd()).is_relative_to(self._folder)
        return False

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put(None)


@contextmanager
def running_command(
    *arguments: str | Path,
    settings: Mapping[str, str] | None = None,
    forked: bool = False,
    module: str = "rollbook_ops.cli",
) -> Iterator[CommandProcess]:
    """Run `rollbook ARGUMENTS` with these settings; at the end, kill all processes that are left.

    forked: it and its Python processes are forks, which costs a fraction (`forked_command`); they have no command line
        of their own.
    module: what is run as `rollbook`.
    """
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="rb") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the servers run as another account when the tests run as root
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
        environment |= {**(settings or {}), "TMPDIR": str(folder), _MARK: mark}
        start = _fork if forked and CAN_FORK else _start
        process = start([module, *map(str, arguments)], environment, folder)
        command = CommandProcess(process, mark, folder)
        try:
            yield command
        finally:
            for each in command.left_behind():
                with suppress(psutil.Error):
                    each.send_signal(signal.SIGKILL)
            process.wait()


def _start(arguments: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[Any]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _fork(arguments: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[Any]:
    """Forks have the environment of the fork server in /proc, but work in the folder."""
    nothing, (output, theirs) = os.open(os.devnull, os.O_RDONLY), os.pipe()
    try:
        environment = {**environment, cluster_template.VARIABLE: os.environ[cluster_template.VARIABLE]}
        command = ["-m", "tests.support.forked_command", *arguments]
        process: subprocess.Popen[Any] = fork_python(command, (nothing, theirs, theirs), environment, folder)
    finally:
        os.close(nothing)
        os.close(theirs)
    process.stdout = os.fdopen(output, encoding="utf-8")
    return process
