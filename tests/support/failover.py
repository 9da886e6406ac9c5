"""A primary and a synchronous replica, and the URL by which processes find whichever of them can write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from tests.support.databases import migrate
from tests.support.replicas import Primary, Replica
from tests.support.waits import wait_until

from rollbook_ops.devstack.accounts import server_account
from rollbook_ops.devstack.binaries import find_postgres
from rollbook_ops.devstack.endpoint import LOOPBACK
from rollbook_ops.devstack.folders import own_temporary_folder

REPLICA: Final = "walreceiver"
"""How a replica names itself to its primary, if nothing else is said."""


class Pair:
    """Two servers; the second follows the first until it is promoted."""

    def __init__(self, first: Primary, second: Replica) -> None:
        self.first, self.second = first, second

    @property
    def url(self) -> str:
        """Of the one that can write."""
        return f"{self._both()}?target_session_attrs=read-write"

    @property
    def any_url(self) -> str:
        """Of the first one that answers."""
        return self._both()

    def _both(self) -> str:
        parts = urlsplit(self.first.url)
        hosts = f"{LOOPBACK}:{self.first.port},{LOOPBACK}:{self.second.port}"
        return parts._replace(netloc=f"{parts.username}:{parts.password}@{hosts}").geturl()

    def wait_for_replica(self) -> None:
        """Until the replica streams, so that commits wait for it."""
        with psycopg.connect(self.first.url, autocommit=True) as connection:
            wait_until(
                lambda: connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone(),
                what="the synchronous replica",
            )

    def kill_first(self) -> None:
        """As a machine dies: at once, whatever is under way. Its other processes notice that, and end."""
        self.first.kill()


@contextmanager
def running_pair(*, is_synchronous: bool) -> Iterator[Pair]:
    """Both, migrated; they end with the block."""
    with ExitStack() as undo:
        folder = own_temporary_folder()
        undo.callback(folder.release)
        account = server_account(folder.path / Primary.name)
        first = Primary(folder, account, find_postgres(), durable=True)
        undo.callback(first.stop)
        first.start()
        migrate(first.url)
        second = Replica(folder, account, find_postgres(), first, durable=True)
        undo.callback(second.stop)
        second.start()
        pair = Pair(first, second)
        if is_synchronous:
            with psycopg.connect(first.url, autocommit=True) as connection:
                connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{REPLICA}'")
                connection.execute("SELECT pg_reload_conf()")
            pair.wait_for_replica()
        yield pair
