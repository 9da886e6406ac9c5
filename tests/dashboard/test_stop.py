"""SIGTERM ends Flower, whatever it is doing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
from tests.support.python_processes import spawn_python
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

_WHERE_EXCEPTIONS_ARE_IGNORED: Final = """
class Object:
    def __del__(self):
        terminate()

def inspect(inspector, *arguments):
    inspector.io_loop.add_callback(Object)

Inspector._inspect = inspect
"""
_WHILE_A_THREAD_WAITS_FOR_THE_BROKER: Final = """
def inspect(*arguments):
    terminate()
    threading.Event().wait()

Inspector._inspect = inspect
"""
_WHILE_A_THREAD_STARTS: Final = """
start = threading.Thread.start

def start_and_terminate(thread):
    start(thread)
    if thread.name.startswith("ThreadPoolExecutor"):
        terminate()

threading.Thread.start = start_and_terminate
"""
_FLOWER: Final = """
import os, signal, threading
from flower.inspector import Inspector
from rollbook_worker.dashboard.server import main

def terminate():
    print("terminated", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
{when}
main()
"""


@pytest.mark.parametrize(
    "when",
    [_WHERE_EXCEPTIONS_ARE_IGNORED, _WHILE_A_THREAD_WAITS_FOR_THE_BROKER, _WHILE_A_THREAD_STARTS],
    ids=["where exceptions are ignored", "while a thread waits for the broker", "while a thread starts"],
)
def test_a_signal_ends_flower(when: str, broker_url: str, tmp_path: Path) -> None:
    log = tmp_path / "flower.log"
    environment = os.environ | {"ROLLBOOK_BROKER_URL": broker_url, "FLOWER_UNAUTHENTICATED_API": "1"}
    arguments = ["-c", _FLOWER.format(when=when), f"--address={LOOPBACK}", f"--port={free_port()}"]
    flower = spawn_python(arguments, log=log, env=environment)

    try:
        assert flower.wait(DEADLINE_SECONDS) == 0, log.read_text()
    finally:
        processes.kill(flower)
    assert "terminated" in log.read_text()
