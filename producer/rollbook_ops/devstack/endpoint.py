"""Where a local server listens, and the password that opens it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rollbook_ops.devstack.ports import free_port, is_free


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A port on the loopback interface. The password keeps this machine's other users out."""

    port: int
    password: str = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Endpoint:
        """Take the endpoint of an earlier run, so that its URLs stay good, or a new one.

        The earlier port is changed only if somebody else has taken it meanwhile.
        """
        try:
            endpoint = cls(**json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return cls(port=free_port(), password=secrets.token_hex(16))
        return endpoint if is_free(endpoint.port) else endpoint.moved()

    def moved(self) -> Endpoint:
        """The same on another port."""
        return Endpoint(port=free_port(), password=self.password)

    def save(self, path: Path) -> None:
        """Keep for the next run, for our eyes only."""
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        new.replace(path)
