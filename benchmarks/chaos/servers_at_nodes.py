"""The servers of a run with network namespaces, each at a node of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from benchmarks.chaos.fault_kinds import POSTGRES, VALKEY
from benchmarks.chaos.packet_network import NETWORK, PacketNetwork

from rollbook_ops.devstack import Servers
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.binaries import find_postgres, find_valkey
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.postgres import PostgresServer
from rollbook_ops.devstack.valkey import ValkeyServer

_ACCESS: Final = f"host all all {NETWORK} scram-sha-256\n"
"""initdb lets in clients from the loopback interface only."""


class ServersAtNodes(Servers):
    """Postgres and Valkey, durable."""

    def __init__(self, network: PacketNetwork, program: Path | None) -> None:
        """`program`: that of the broker; None: Valkey."""
        super().__init__(durable=True, append_only=True, append_fsync="always", valkey_program=program)
        self._network = network
        self._program = program

    def _make_postgres(self, folder: OwnedFolder, account: Account | None) -> PostgresServer:
        return _Postgres(self._network, folder, account)

    def _make_valkey(self, folder: OwnedFolder, account: Account | None) -> ValkeyServer:
        return _Valkey(self._network, folder, account, self._program or find_valkey())


class _Postgres(PostgresServer):
    def __init__(self, network: PacketNetwork, folder: OwnedFolder, account: Account | None) -> None:
        super().__init__(folder, account, find_postgres(), durable=True)
        self._network = network
        self.host = network.node(POSTGRES).address

    def _prepare(self) -> None:
        is_new = not self._data.exists()
        super()._prepare()
        if is_new:
            with (self._data / "pg_hba.conf").open("a") as file:
                file.write(_ACCESS)

    def _spawn(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        with self._network.entered(POSTGRES):
            return super()._spawn(command)


class _Valkey(ValkeyServer):
    def __init__(self, network: PacketNetwork, folder: OwnedFolder, account: Account | None, program: Path) -> None:
        super().__init__(folder, account, program, append_fsync="always")
        self._network = network
        self.host = network.node(VALKEY).address

    def _spawn(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        with self._network.entered(VALKEY):
            return super()._spawn(command)
