"""Flower for a stack: its command, its port and password, and whether it responds."""

from __future__ import annotations

import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK, Endpoint, is_free_soon, preferred_port, reserve

PORT: Final = 5555
_USER: Final = "rollbook"


def flower_endpoint(data_dir: Path | None) -> Endpoint:
    """Return the port and the password of the earlier run in `data_dir`, so that a bookmark stays valid; otherwise 5555
    or a free port, and a new password.

    The port changes only if another process uses it, or another run is about to.
    """
    if data_dir is None:
        return _new_endpoint()
    file = data_dir / "flower.json"
    endpoint = Endpoint.read(file) or _new_endpoint()
    if not endpoint.password:  # as earlier versions saved it
        endpoint = replace(endpoint, password=_new_endpoint().password)
    if not (is_free_soon(endpoint.port) and reserve(endpoint.port)):
        endpoint = replace(endpoint, port=_new_endpoint().port)
    endpoint.save(file)
    return endpoint


def flower_url(endpoint: Endpoint) -> str:
    """Return the URL with the password, for a browser."""
    return f"http://{_USER}:{endpoint.password}@{LOOPBACK}:{endpoint.port}"


def flower_command(endpoint: Endpoint) -> list[str]:
    """Return the command. Every account of the machine can read it, so the password is in `flower_environment`."""
    options = [f"--address={LOOPBACK}", f"--port={endpoint.port}"]
    return [sys.executable, "-m", "rollbook_worker.dashboard", *options]


def flower_environment(endpoint: Endpoint) -> Mapping[str, str]:
    """Return what the command needs besides the variables of the stack."""
    return {"FLOWER_BASIC_AUTH": f"{_USER}:{endpoint.password}"}


def flower_is_healthy(url: str) -> bool:
    """Return whether the Flower at `url`, a URL without a password, responds."""
    try:
        with urllib.request.urlopen(f"{url}/healthcheck", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _new_endpoint() -> Endpoint:
    return Endpoint(port=preferred_port(PORT), password=secrets.token_hex(16))
