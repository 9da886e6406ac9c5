"""A broker whose users are those of deploy/redis.acl."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

import redis
from tests.support.repository import ROOT
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

ACL_FILE: Final = ROOT / "deploy" / "redis.acl"
_PLACEHOLDER: Final = "CHANGE-ME"


class AclBroker:
    """A server on the loopback interface that has loaded the file; each user has a password of its own."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._passwords: dict[str, str] = {}
        self.port = free_port()
        acl = folder / "users.acl"
        acl.write_text("".join(map(self._with_password, ACL_FILE.read_text().splitlines(keepends=True))))
        options = {"--port": str(self.port), "--bind": LOOPBACK, "--aclfile": str(acl), "--dir": str(folder)}
        words = [word for option in options.items() for word in option]
        self._process = processes.spawn(
            [program, *words, "--save", "", "--appendonly", "no"], log=folder / "broker.log", env=dict(os.environ)
        )
        wait_until(self._answers, what="the broker answering")

    @property
    def users(self) -> list[str]:
        return list(self._passwords)

    def url(self, user: str) -> str:
        """For ROLLBOOK_BROKER_URL of a process that has this user."""
        return f"redis://{user}:{self._passwords[user]}@{LOOPBACK}:{self.port}/0"

    def client(self, user: str = "default") -> redis.Redis:
        return redis.Redis.from_url(self.url(user), socket_timeout=DEADLINE_SECONDS)

    def stop(self) -> None:
        processes.kill(self._process)

    def _with_password(self, line: str) -> str:
        _, user, *_ = line.split()
        self._passwords[user] = secrets.token_hex(16)
        assert line.count(_PLACEHOLDER) == 1, line
        return line.replace(_PLACEHOLDER, self._passwords[user])

    def _answers(self) -> bool:
        assert self._process.poll() is None, "it did not start: see its log"
        with suppress(redis.ConnectionError), self.client() as client:
            return bool(client.ping())
        return False
