"""docker-compose.yml brought up without containers: its own commands, variables and health checks, as processes here.

What a container has for itself is put in its place: names and ports of the servers become those at hand, ports that it
listens on become free ones, a mount the folder that is mounted, and `/tmp` a folder of its own. Nothing else is given:
the environment is the file's, above the image's (deploy/Dockerfile).
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

from tests.deploy.image import HOME, stages
from tests.support.deploy.compose_file import TEXT, filled, seconds
from tests.support.waits import DEADLINE_SECONDS
from tests.support.yaml_files import load_yaml

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

PROGRAMS: Final = Path(sys.executable).parent
"""Where the virtualenv has what the image has in /opt/rollbook/bin."""
LISTENS: Final = {"flower": "5555", "metrics": "9464", "redis": "6379", "server": "8787"}


def image_environment() -> dict[str, str]:
    """What the image sets, with the virtualenv's programs for its own."""
    environment = {"PATH": os.defpath, "HOME": "/nonexistent"}
    for word, rest in stages()[-1]:
        if word == "ENV":
            for name, value in (pair.split("=", 1) for pair in shlex.split(rest)):
                environment[name] = value.replace("$PATH", environment["PATH"]).replace(f"{HOME}/bin", str(PROGRAMS))
    return environment


class Composition:
    """The services of docker-compose.yml; those that run are ended by `end`.

    given: the file's variables, as .env has them.
    places: what names of servers with their ports, such as `redis:6379`, are here.
    """

    def __init__(self, folder: Path, given: Mapping[str, str], places: Mapping[str, str]) -> None:
        self._folder = folder
        self._raw: dict[str, dict[str, Any]] = load_yaml(TEXT)["services"]
        self._given = given
        self._places = places
        self.ports = {name: {kind: str(free_port()) for kind in LISTENS} for name in self._raw}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def service(self, name: str) -> dict[str, Any]:
        """A service, as it is here."""
        here = {
            **self._places,
            **{LISTENS[kind]: port for kind, port in self.ports[name].items()},
            **self._mounts(name),
            "0.0.0.0": LOOPBACK,
            "/tmp/": f"{self.folder(name)}/",
        }
        # before the variables are filled in: a password may hold a port's number
        own = {key: value for key, value in self._raw[name].items() if key != "volumes"}
        service: dict[str, Any] = filled(_replaced(own, here), self._given)
        return service

    def _mounts(self, name: str) -> dict[str, str]:
        """Where our files are in the container, and where they are here. Volumes of servers are not needed here."""
        mounts = (filled(mount, self._given).split(":") for mount in self._raw[name].get("volumes", ()))
        return {f"{target}/": f"{source}/" for source, target, *_ in mounts if Path(source).is_absolute()}

    def folder(self, name: str) -> Path:
        """The folder that its /tmp is."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def environment(self, name: str) -> dict[str, str]:
        """All variables that a process of the service has."""
        own: dict[str, str] = self.service(name).get("environment", {})
        return image_environment() | own

    def in_order(self, wanted: set[str]) -> Iterator[str]:
        """The wanted services, each after those that it depends on."""
        needs = {name: self._raw[name].get("depends_on", {}) for name in wanted}
        return (name for name in TopologicalSorter(needs).static_order() if name in wanted)

    def up(self, name: str) -> None:
        """Start a service; wait for it if it is one that ends."""
        service = self.service(name)
        self.start(name, service["command"])
        if service["restart"] == "no":
            status = self.running.pop(name).wait(DEADLINE_SECONDS)
            assert status == 0, f"{name} ended with {status}:\n{self.log(name)}"

    def start(self, name: str, command: Sequence[str], **more: str) -> None:
        """Start a command with the variables of a service, and `more`."""
        self.running[name] = processes.spawn(
            _placed(command),
            log=self._folder / f"{name}.log",
            env=self.environment(name) | more,
            cwd=self.folder(name),
        )

    def healthy(self, name: str) -> bool:
        """Whether a service is well. Fails if it has ended by itself."""
        assert self.running[name].poll() is None, f"{name} has ended:\n{self.log(name)}"
        return self.asked(name) == 0

    def asked(self, name: str) -> int:
        """Ask a service how it is, by the file's own command; give the exit code."""
        _, *command = self.service(name)["healthcheck"]["test"]
        return subprocess.run(
            _placed(command), env=self.environment(name), cwd=self.folder(name), capture_output=True, check=False
        ).returncode

    def down(self, names: Sequence[str]) -> dict[str, int | None]:
        """Ask the services to end, all at once as `docker compose down` does; give their exit codes, None for one that
        had not ended when its time was over."""
        begun = time.monotonic()
        for name in names:
            processes.request_stop(self.running[name], by=signal.SIGTERM)
        return {name: self._ended(name, begun) for name in names}

    def end(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            processes.kill(process)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def _ended(self, name: str, begun: float) -> int | None:
        grace = seconds(self.service(name)["stop_grace_period"])
        try:
            return self.running[name].wait(max(0.0, begun + grace - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None


def _placed(command: Sequence[str]) -> list[str]:
    """A command with its program's place, which is looked up in our PATH and not in the one that it is given."""
    program, *arguments = command
    return [str(PROGRAMS / program) if (PROGRAMS / program).exists() else program, *arguments]


def _replaced(value: Any, here: Mapping[str, str]) -> Any:
    """A value of the file in which each key of `here` is replaced, wherever it stands."""
    match value:
        case str():
            return re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], value)
        case list():
            return [_replaced(item, here) for item in value]
        case dict():
            return {name: _replaced(item, here) for name, item in value.items()}
    return value
