"""The HTTP server of a stack: its port, its keys, and the key pair of user tokens."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK, is_free_soon, preferred_port, reserve
from rollbook_shared.private_file import create_private_file

PORT: Final = 8787
_MODULES: Final = ("starlette", "uvicorn", "jwt", "cryptography")
_USER_TOKEN_KEY: Final = "ROLLBOOK_USER_TOKEN_PUBLIC_KEY"
PRIVATE_KEY_FILE: Final = "user-token-private-key.pem"


@dataclass(frozen=True, kw_only=True)
class HttpEndpoint:
    """Where the HTTP server listens, and its keys: of backends, of browsers, and of Segment's libraries."""

    port: int
    secret_key: str = field(repr=False)
    public_key: str = field(repr=False)
    segment_key: str = field(repr=False)

    @classmethod
    def new(cls) -> HttpEndpoint:
        """Port 8787 or a free one, and new keys."""
        return cls(
            port=preferred_port(PORT),
            secret_key=f"sk_{secrets.token_hex(16)}",
            public_key=f"pk_{secrets.token_hex(16)}",
            segment_key=f"wk_{secrets.token_hex(16)}",
        )

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which an application uses the server."""
        return {
            "ROLLBOOK_SERVER_URL": self.url,
            "ROLLBOOK_SECRET_KEY": self.secret_key,
            "ROLLBOOK_PUBLIC_KEY": self.public_key,
            "ROLLBOOK_SEGMENT_KEY": self.segment_key,
        }

    @property
    def command(self) -> list[str]:
        """The command. Every account of the machine can read it, so the keys are in the server's environment."""
        return [sys.executable, "-m", "rollbook_ops.cli", "serve", "--host", LOOPBACK, "--port", str(self.port)]


def http_server_is_installed() -> bool:
    """Whether the extra `server` is installed."""
    return all(importlib.util.find_spec(module) is not None for module in _MODULES)


def http_endpoint(data_dir: Path | None) -> HttpEndpoint:
    """The port and the keys of the earlier run in `data_dir`, so that applications need no change; or new ones.

    The port changes only if another process uses it, or another run is about to.
    """
    if data_dir is None:
        return HttpEndpoint.new()
    file = data_dir / "server.json"
    endpoint = _read(file) or HttpEndpoint.new()
    if not (is_free_soon(endpoint.port) and reserve(endpoint.port)):
        endpoint = replace(endpoint, port=preferred_port(PORT))
    new = file.with_suffix(".new")
    with create_private_file(new) as text:
        json.dump(asdict(endpoint), text)
    new.replace(file)
    return endpoint


def private_key_of(folder: Path) -> Path | None:
    """The file in `folder` with the private key that signs user tokens, made if it is missing.

    None: `ROLLBOOK_USER_TOKEN_PUBLIC_KEY` is set, so the application has a key of its own.
    """
    if os.environ.get(_USER_TOKEN_KEY, "").strip():
        return None
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    file = folder / PRIVATE_KEY_FILE
    if _public_half(file) is None:
        pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        new = file.with_suffix(".new")
        with create_private_file(new) as text:
            text.write(pem.decode())
        new.replace(file)
    return file


def http_server_environment(
    endpoint: HttpEndpoint, private_key: Path | None, *, with_console: bool = False
) -> Mapping[str, str]:
    """What the command needs besides the variables of the stack."""
    keys = {
        **({"ROLLBOOK_CONSOLE": "password"} if with_console else {}),
        "ROLLBOOK_SECRET_KEYS": endpoint.secret_key,
        "ROLLBOOK_PUBLIC_KEYS": endpoint.public_key,
        "ROLLBOOK_SEGMENT_KEYS": endpoint.segment_key,
    }
    public_half = None if private_key is None else _public_half(private_key)
    return keys if public_half is None else {**keys, _USER_TOKEN_KEY: public_half}


def http_server_is_healthy(url: str) -> bool:
    """Whether the server at `url` answers."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _read(file: Path) -> HttpEndpoint | None:
    try:
        return HttpEndpoint(**json.loads(file.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def _public_half(private_key: Path) -> str | None:
    """The public half in PEM; None if the file is missing or holds no key."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()
