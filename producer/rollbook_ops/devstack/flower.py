"""Flower for a stack: its command, its port, and whether it responds."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK, Endpoint, free_port, is_free

_PORT: Final = 5555
_RELEASE_SECONDS: Final = 5.0
"""How long the Flower of a killed run may take to release its port."""
_POLL_SECONDS: Final = 0.05
_TASKS: Final = 10_000
"""How many tasks Flower remembers. Its default of 100,000 takes a quarter of a gigabyte."""
_COLUMNS: Final = "name,args,state,result,runtime,retries,exception,received,worker,uuid"
"""Flower's default columns show neither the job's summary nor its result or error; these do, without personal data."""


def flower_port(data_dir: Path | None) -> int:
    """Return the port of the earlier run in `data_dir`, so that a bookmark stays valid; otherwise 5555 or a free port.

    The port changes only if another process uses it.
    """
    if data_dir is None:
        return _PORT if is_free(_PORT) else free_port()
    file = data_dir / "flower.json"
    if (saved := Endpoint.read(file)) is not None and _is_free_soon(saved.port):
        return saved.port
    endpoint = Endpoint(port=_PORT if is_free(_PORT) else free_port(), password="")
    endpoint.save(file)
    return endpoint.port


def flower_command(port: int) -> list[str]:
    """Return the command. The URL of the broker must be in its environment, as CELERY_BROKER_URL.

    Every account of the machine can read the arguments, and the URL contains a password.
    """
    display = [f"--max-tasks={_TASKS}", f"--tasks-columns={_COLUMNS}"]
    return [sys.executable, "-m", "celery", "flower", f"--address={LOOPBACK}", f"--port={port}", *display]


def flower_is_healthy(url: str) -> bool:
    """Return whether the Flower at `url` responds."""
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_free_soon(port: int) -> bool:
    deadline = time.monotonic() + _RELEASE_SECONDS
    while not (free := is_free(port)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return free
