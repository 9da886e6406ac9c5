"""SIGTERM ends Flower, whatever it is doing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.support.python_processes import spawn_python
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

_TERMINATED_AS_A_THREAD_STARTS: Final = """
import os, signal, sys, threading
from rollbook_worker.dashboard.server import main

start = threading.Thread.start

def start_and_terminate(thread):
    start(thread)
    if thread.name.startswith("ThreadPoolExecutor"):
        print("terminated", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread.start = start_and_terminate
sys.exit(main())
"""


def test_flower_ends_also_while_a_thread_of_its_pool_starts(broker_url: str, tmp_path: Path) -> None:
    log = tmp_path / "flower.log"
    environment = os.environ | {"ROLLBOOK_BROKER_URL": broker_url, "FLOWER_UNAUTHENTICATED_API": "1"}
    arguments = ["-c", _TERMINATED_AS_A_THREAD_STARTS, f"--address={LOOPBACK}", f"--port={free_port()}"]
    flower = spawn_python(arguments, log=log, env=environment)

    try:
        assert flower.wait(DEADLINE_SECONDS) == 0, log.read_text()
    finally:
        processes.kill(flower)
    assert "terminated" in log.read_text()
