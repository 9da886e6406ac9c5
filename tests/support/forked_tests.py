"""`--processes 3`: run the tests in processes that are forked when all tests are collected, a file at a time.

In processes that are started instead, each imports and collects everything: 20 s of processor time in three of them.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Final, NoReturn, cast

import pytest
from _pytest.runner import CallInfo

_OPTION: Final = "processes"


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=0, help="run the tests in so many processes, a file at a time")


def several_processes(config: pytest.Config) -> bool:
    """Whether the tests run in processes of their own."""
    return bool(config.getoption(_OPTION))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """What is collected stays to the end: to look for garbage in it would take a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not several_processes(session.config) or session.config.option.collectonly or session.testsfailed:
        return None
    assert threading.active_count() == 1, "a process with threads must not fork"
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one for all, of this process
    if reporter := session.config.pluginmanager.get_plugin("terminalreporter"):
        reporter.showfspath = False  # whose tests are mixed
    _Processes(session).run(session.config.getoption(_OPTION))
    return True


class _Processes:
    """The processes, and the files that are left."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._hook = session.config.hook
        files: dict[object, list[int]] = {}
        for number, item in enumerate(session.items):
            files.setdefault(item.path, []).append(number)
        self._files = deque(files.values())
        self._running: dict[Connection[Any, Any], _Process] = {}

    def run(self, count: int) -> None:
        try:
            for _ in range(min(count, len(self._files))):
                self._start()
            while self._running:
                for connection in wait([*self._running]):
                    self._listen(cast("Connection[Any, Any]", connection))
                if self._session.shouldfail:
                    raise self._session.Failed(self._session.shouldfail)
                if self._session.shouldstop:
                    raise self._session.Interrupted(self._session.shouldstop)
        finally:
            self._end()

    def _start(self) -> None:
        ours, theirs = Pipe()
        if (pid := os.fork()) == 0:
            for connection in (ours, *self._running):
                connection.close()
            _run(self._session, theirs)
        theirs.close()
        self._running[ours] = _Process(pid)

    def _listen(self, connection: Connection[Any, Any]) -> None:
        process = self._running[connection]
        try:
            name, arguments = connection.recv()
        except (EOFError, ConnectionResetError):
            del self._running[connection]
            self._note_end(process, os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1]))
            return
        if name == "next":
            numbers = self._files.popleft() if self._files else []
            process.left = deque(numbers)
            connection.send(numbers)
            return
        if name == "pytest_runtest_logreport":
            config = self._session.config
            arguments = {"report": self._hook.pytest_report_from_serializable(config=config, data=arguments["report"])}
        elif name == "pytest_runtest_logfinish":
            process.left.popleft()
        call = getattr(self._hook, name)
        if call.is_historic():
            call.call_historic(kwargs=arguments)
        else:
            call(**arguments)

    def _note_end(self, process: _Process, status: int) -> None:
        """Of a process that died in a test, that test has failed, and another process does what is left of the file."""
        if not process.left:
            assert status == 0, f"a process of tests has ended with status {status}"
            return
        item = self._session.items[process.left.popleft()]
        report = pytest.TestReport(
            item.nodeid, item.location, {}, "failed", f"its process has ended with status {status}", "call"
        )
        self._hook.pytest_runtest_logreport(report=report)
        if process.left:
            self._files.appendleft([*process.left])
        if self._files:
            self._start()

    def _end(self) -> None:
        """Let those that still run end their fixtures."""
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
        for connection, process in self._running.items():
            with suppress(EOFError, ConnectionResetError):
                while True:
                    connection.recv()
            os.waitpid(process.pid, 0)


class _Process:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.left: deque[int] = deque()
        """The numbers of the tests of its file that have not ended."""


def _run(session: pytest.Session, connection: Connection[Any, Any]) -> NoReturn:
    """Run what is given, in the new process."""
    status = 1
    try:
        os.setpgid(0, 0)  # a Ctrl-C of the terminal reaches us once: by our parent
        atexit._clear()
        _capture_anew(session.config)
        _run_files(session, connection)
        status = 0
    except (KeyboardInterrupt, ConnectionError, EOFError):  # by our parent, or it was killed
        session._setupstate.teardown_exact(None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        connection.close()
        os._exit(status)


def _run_files(session: pytest.Session, connection: Connection[Any, Any]) -> None:
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(_Reports(session.config, connection))
    item = None
    while numbers := _next_file(connection):
        for number, following in zip(numbers, [*numbers[1:], None], strict=True):
            item = session.items[number]
            # after the last one the fixtures of the file and its folder end, and those of the session stay
            left = session if following is None else session.items[following]
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=left)
    if item is not None:
        _end_session(session, item)


def _end_session(session: pytest.Session, last: pytest.Item) -> None:
    """End the fixtures of the session; where that fails, it is a failure after the last test."""
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    capture.resume_global_capture()
    ended = CallInfo.from_call(partial(session._setupstate.teardown_exact, None), "teardown")
    if ended.excinfo is not None:
        report = last.ihook.pytest_runtest_makereport(item=last, call=ended)
        last.ihook.pytest_runtest_logreport(report=report)


def _next_file(connection: Connection[Any, Any]) -> list[int]:
    """The numbers of the tests of another file; none when no file is left."""
    connection.send(("next", {}))
    return cast("list[int]", connection.recv())


def _capture_anew(config: pytest.Config) -> None:
    """Take what tests print into a file of our own."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()


class _Reports:
    """Sends to our parent what becomes of the tests."""

    def __init__(self, config: pytest.Config, connection: Connection[Any, Any]) -> None:
        self._config = config
        self._connection = connection

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self._send("pytest_runtest_logstart", nodeid=nodeid, location=location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send("pytest_runtest_logreport", report=data)

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        self._send("pytest_runtest_logfinish", nodeid=nodeid, location=location)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        known = warnings.WarningMessage(
            str(warning_message.message), UserWarning, warning_message.filename, warning_message.lineno
        )
        self._send("pytest_warning_recorded", warning_message=known, when=when, nodeid=nodeid, location=location)

    def _send(self, name: str, **arguments: Any) -> None:
        self._connection.send((name, arguments))
