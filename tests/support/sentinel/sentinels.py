"""A Sentinel set: a primary, its replicas, and the sentinels that agree on which of them is the primary."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import redis
from tests.support.brokers import broker_program
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

DOWN_AFTER_SECONDS: Final = 3.0
"""How long a server is silent until a sentinel takes it for gone: longer than a busy machine keeps it from answering.
Sentinel's own default is 30."""
_MASTER: Final = "main"
_SERVERS: Final = 3
_SENTINELS: Final = 3
_QUORUM: Final = 2


class SentinelSet:
    """One primary, two replicas and three sentinels, each a real Valkey process on the loopback interface.

    Nothing is written to disk, as where a replica is all that stands between a job and its loss.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        self._sentinels: list[int] = []
        self._to_undo = ExitStack()

    @property
    def url(self) -> str:
        """For ROLLBOOK_BROKER_URL. The name of the master stands at the last of the sentinels."""
        hosts = ";".join(f"sentinel://{LOOPBACK}:{port}/0" for port in self._sentinels)
        return f"{hosts}?master_name={_MASTER}"

    def start(self) -> None:
        """Start all; return when every sentinel knows the whole set."""
        first, *others = ports = _free_ports(_SERVERS + _SENTINELS)
        self._sentinels = ports[_SERVERS:]
        self._serve(first)
        for port in others[: _SERVERS - 1]:
            self._serve(port, replica_of=first)
        for port in self._sentinels:
            self._watch(port, first)
        wait_until(self._all_know_all, what="the sentinels knowing each other and the replicas")

    def stop(self) -> None:
        self._to_undo.close()

    def primary(self) -> int:
        """The port of the server that the sentinels name; 0 while they do not agree."""
        answers: list[Any] = [self._asked(port).sentinel_get_master_addr_by_name(_MASTER) for port in self._sentinels]
        ports = {answer[1] for answer in answers if answer}
        return int(ports.pop()) if len(ports) == 1 else 0

    def client(self) -> redis.Redis:
        """A client of the primary of now; waits while the sentinels do not agree, as on a machine too busy for them."""
        port = 0

        def agreed() -> bool:
            nonlocal port
            port = self.primary()
            return port != 0

        wait_until(agreed, what="the sentinels agreeing on a primary")
        return self._asked(port)

    def kill_primary(self) -> int:
        """End the primary by SIGKILL; return its port."""
        port = self.primary()
        processes.kill(self._servers[port])
        return port

    def wait_for_another_than(self, port: int) -> float:
        """Wait until the sentinels agree on another primary, and it takes writes; return for how many seconds."""
        begin = time.monotonic()
        wait_until(
            lambda: self.primary() not in (0, port) and self.client().info("replication")["role"] == "master",
            what="a failover",
        )
        return time.monotonic() - begin

    def start_again(self, port: int) -> None:
        """Start a server again, empty; for some seconds it takes itself for the primary."""
        self._serve(port)

    def wait_until_replica(self, port: int) -> None:
        """Wait until the sentinels have made a replica of it."""
        wait_until(
            lambda: self._asked(port).info("replication")["role"] == "slave",
            what="the old primary becoming a replica",
        )

    def _serve(self, port: int, *, replica_of: int | None = None) -> None:
        follow = ["--replicaof", LOOPBACK, str(replica_of)] if replica_of else []
        options = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", *follow]
        self._servers[port] = self._start(port, f"server-{port}", ["--port", str(port), "--bind", LOOPBACK, *options])

    def _watch(self, port: int, primary: int) -> None:
        # a file, for a sentinel writes into it what it learns
        config = self._folder / f"sentinel-{port}.conf"
        config.write_text(
            f"port {port}\n"
            f"bind {LOOPBACK}\n"
            f"sentinel monitor {_MASTER} {LOOPBACK} {primary} {_QUORUM}\n"
            f"sentinel down-after-milliseconds {_MASTER} {DOWN_AFTER_SECONDS * 1_000:.0f}\n"
            f"sentinel failover-timeout {_MASTER} 5000\n"
        )
        self._start(port, f"sentinel-{port}", [str(config), "--sentinel"])

    def _start(self, port: int, name: str, options: list[str]) -> subprocess.Popen[bytes]:
        home = self._folder / name
        home.mkdir(exist_ok=True)
        process = processes.spawn(
            [broker_program(), *options], log=self._folder / f"{name}.log", env=dict(os.environ), cwd=home
        )
        self._to_undo.callback(processes.kill, process)
        wait_until(lambda: _answers(port), what=f"{name} answering")
        return process

    def _all_know_all(self) -> bool:
        known: list[Any] = [self._asked(port).sentinel_master(_MASTER) for port in self._sentinels]
        return (
            all((each["num-other-sentinels"], each["num-slaves"]) == (_SENTINELS - 1, _SERVERS - 1) for each in known)
            and self.client().info("replication")["connected_slaves"] == _SERVERS - 1
        )

    def _asked(self, port: int) -> redis.Redis:
        return redis.Redis(host=LOOPBACK, port=port, socket_timeout=DEADLINE_SECONDS)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(host=LOOPBACK, port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _free_ports(number: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return list(ports)
