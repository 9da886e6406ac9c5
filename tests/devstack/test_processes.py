"""Children end with their parent, whichever thread started them and however the parent ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes

_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("set", flush=True)
time.sleep(600)
"""


def wait_for(log: Path, text: str) -> None:
    wait_until(lambda: log.exists() and text in log.read_text(), what=f"{text!r} in the log")


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    child = processes.spawn(["echo", "hello"], log=tmp_path / "log")

    assert child.wait() == 0
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_child_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = processes.spawn([sys.executable, "-c", _STUBBORN], log=tmp_path / "log")
    wait_for(tmp_path / "log", "set")

    assert processes.stop(child, grace=0.05) == -signal.SIGKILL
    assert processes.stop(child) == -signal.SIGKILL


def test_grandchildren_in_the_group_end_with_the_child(tmp_path: Path) -> None:
    child = processes.spawn(["sh", "-c", "sleep 600 & echo $!; wait"], log=tmp_path / "log")
    wait_for(tmp_path / "log", "\n")
    grandchild = psutil.Process(int((tmp_path / "log").read_text()))

    processes.stop(child)

    psutil.wait_procs([grandchild], timeout=DEADLINE_SECONDS)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    children: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: children.append(processes.spawn(["sleep", "600"])))
    thread.start()
    thread.join()

    with pytest.raises(subprocess.TimeoutExpired):
        children[0].wait(0.2)
    assert processes.stop(children[0]) == -signal.SIGTERM


def test_a_missing_program_raises_in_the_starting_thread() -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            processes.spawn(["/no/such/program"])
        except FileNotFoundError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert len(caught) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
def test_a_child_ends_with_its_killed_parent(thread: bool) -> None:
    start = "threading.Thread(target=start).start()" if thread else "start()"
    script = f"""
import signal, threading
from rollbook_ops.devstack import processes
def start(): print(processes.spawn(["sleep", "600"]).pid, flush=True)
{start}
signal.pause()
"""
    assert_child_ends_with_parent(script)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_child_ends_also_before_its_program_begins() -> None:
    script = """
import os, signal, time
from rollbook_ops.devstack import processes
signal.signal(signal.SIGTERM, lambda *_: None)
become_child = processes._tie_to_parent(os.getpid(), signal.SIGTERM)
if os.fork() == 0:
    become_child()
    print(os.getpid(), flush=True)
    time.sleep(600)
signal.pause()
"""
    assert_child_ends_with_parent(script)


def assert_child_ends_with_parent(script: str) -> None:
    """`script` is the parent's; it prints the child's process id."""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.stdout.close()

    parent.kill()
    parent.wait()

    psutil.wait_procs([child], timeout=DEADLINE_SECONDS)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_grandchildren_end_also_when_the_child_has_ended_before_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = processes.spawn(["sh", "-c", "sleep 600 & echo $!; wait"], log=tmp_path / "log")
    wait_for(tmp_path / "log", "\n")
    grandchild = psutil.Process(int((tmp_path / "log").read_text()))
    request_stop = processes.request_stop

    def request_stop_and_wait(process: subprocess.Popen[bytes], *, by: signal.Signals) -> None:
        request_stop(process, by=by)
        process.wait()

    monkeypatch.setattr(processes, "request_stop", request_stop_and_wait)
    processes.stop(child)

    psutil.wait_procs([grandchild], timeout=DEADLINE_SECONDS)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
