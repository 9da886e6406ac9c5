"""The official clients for Node and browsers, installed as their lock says, and called from Python."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import pytest
from tests.support.repository import ROOT

SOURCE: Final = ROOT / "tests" / "support" / "official_clients"
HOME: Final = ROOT / "build" / "official-clients"
PLAYER: Final = SOURCE / "player.mjs"
_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
_INSTALL_SECONDS: Final = 180


def installed_clients() -> Path:
    """The folder with the clients, installed once for each lock. Skips the test where that cannot be done."""
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        pytest.skip("node or npm is not on the PATH")
    files = [SOURCE / "package.json", SOURCE / "package-lock.json"]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = HOME / "installed"
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "installing.lock").open("w") as guard:  # several processes of pytest may come at once
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            for file in files:
                shutil.copy(file, HOME)
            try:
                done = subprocess.run([npm, *_INSTALL], cwd=HOME, capture_output=True, timeout=_INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.skip("npm does not answer")
            if done.returncode:
                pytest.skip(f"npm could not install the official clients: {done.stderr.decode()[-300:]}")
            stamp.write_text(wanted)
    return HOME


def bundle(script: Path, target: Path) -> None:
    """Make one file for browsers of a script that imports the clients."""
    modules = HOME / "node_modules"
    command: list[str | Path] = [modules / ".bin" / "esbuild", script, "--bundle", "--format=esm"]
    command += [f"--outfile={target}", "--log-level=error"]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"], "NODE_PATH": str(modules)})


class ClientError(Exception):
    """What a client raised: the name of its class, and of an answer the status and the body."""

    def __init__(self, name: str, status: int | None = None, body: Any = None) -> None:
        super().__init__(f"{name} {status}")
        self.name = name
        self.status = status
        self.body = body


class Player:
    """A Node process that calls the clients, one call after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._answers = process.stdin, process.stdout
        self._ids = count()

    def make(self, kind: str, name: str, *args: Any) -> Client:
        """A new object of a class, such as `Knock`, under this name."""
        self._play(new=kind, args=args, **{"as": name})
        return Client(self, name)

    def call(self, path: str, *args: Any, **options: Any) -> Any:
        """Call a function or a method, such as `knock.users.get`.

        Raises:
            ClientError: it raised an error.
        """
        return self._play(call=path, args=args, **options)

    def read(self, path: str) -> Any:
        """The value of an attribute, such as `feed.store.state`."""
        return self._play(read=path)

    def _play(self, **step: Any) -> Any:
        id_ = next(self._ids)
        self._requests.write(json.dumps({"id": id_, **step}) + "\n")
        self._requests.flush()
        line = self._answers.readline()
        assert line, "the process with the clients has ended"
        answer = json.loads(line)
        assert answer["id"] == id_
        if "error" in answer:
            raise ClientError(**answer["error"])
        return answer["value"]


class Client:
    """An object of the player, whose attributes and methods are the original's: `knock.users.get("ann")`."""

    def __init__(self, player: Player, path: str) -> None:
        self._player = player
        self._path = path

    def __getattr__(self, name: str) -> Self:
        return type(self)(self._player, f"{self._path}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call it. `all=True` gives the items of all pages, and `as` keeps the result under a name."""
        return self._player.call(self._path, *args, **options)

    def value(self) -> Any:
        """The value of the attribute."""
        return self._player.read(self._path)

    def keep(self, name: str, *args: Any) -> Client:
        """Call it, and keep the result under a name."""
        self._player.call(self._path, *args, **{"as": name})
        return Client(self._player, name)


@contextmanager
def player() -> Iterator[Player]:
    """Start a Node process for the length of a `with`."""
    command: list[str | Path] = ["node", PLAYER, installed_clients()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Player(process)
        finally:
            process.kill()
