"""The local servers start, keep their data over restarts, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.brokers import connect_to_broker
from tests.support.waits import wait_until

from rollbook_ops.devstack import ServerFailed, Servers
from rollbook_ops.devstack.folders import own_temporary_folder

pytestmark = pytest.mark.servers

_LAUNCHER = """
import json, signal, sys
from rollbook_ops.devstack import Servers
servers = Servers(sys.argv[1] if len(sys.argv) > 1 else None, durable=False).start()
print(json.dumps({
    "pids": [servers.postgres.pid, servers.valkey.pid],
    "folder": str(servers.postgres.log.parent),
    "database_url": servers.database_url,
    "broker_url": servers.broker_url,
}), flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own temporary folder, to check what is left in it."""
    # Not tmp_path: the account that Postgres runs as cannot enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="rollbook.test.") as name:
        folder = Path(name)
        folder.chmod(0o711)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield folder


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def write(servers: Servers) -> None:
    with psycopg.connect(servers.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    with connect_to_broker(servers.broker_url) as client:
        client.lpush("kept", "one")


def rows_kept(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])


def items_kept(broker_url: str) -> int:
    with connect_to_broker(broker_url) as client:
        return int(client.llen("kept"))


def launch(*arguments: str | Path) -> tuple[subprocess.Popen[str], dict[str, object]]:
    process = subprocess.Popen([sys.executable, "-c", _LAUNCHER, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    return process, json.loads(line)


def test_stop_leaves_no_process_and_no_folder(temporary_folder: Path) -> None:
    with Servers(durable=False) as servers:
        write(servers)
        pids = [servers.postgres.pid, servers.valkey.pid]
        processes_of_stack = pids + [
            child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)
        ]

    assert all(gone(pid) for pid in processes_of_stack)
    assert list(temporary_folder.iterdir()) == []


def test_killing_the_parent_leaves_no_server_and_the_next_start_no_folder(temporary_folder: Path) -> None:
    process, stack = launch()
    pids = stack["pids"]
    assert isinstance(pids, list)
    processes_of_stack = pids + [child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)]

    process.kill()
    process.wait()
    wait_until(lambda: all(gone(pid) for pid in processes_of_stack))
    with Servers(durable=False):
        left = [path for path in temporary_folder.iterdir() if str(path) == stack["folder"]]

    assert left == []


def test_folders_of_others_are_kept(temporary_folder: Path) -> None:
    clone = temporary_folder / "rollbook-local-clone"
    clone.mkdir()
    (clone / "work").touch()

    own_temporary_folder().release()

    assert [path.name for path in clone.iterdir()] == ["work"]


def test_a_running_stack_keeps_its_folder(temporary_folder: Path) -> None:
    with Servers(durable=False) as one:
        with Servers(durable=False) as two:
            assert one.database_url != two.database_url
        write(one)

        assert rows_kept(one.database_url) == 1


@pytest.mark.parametrize("end", ["restart", "crash", "kill"])
def test_restart_keeps_data_and_port(end: str) -> None:
    with Servers(append_only=True, append_fsync="always") as servers:
        write(servers)
        urls = servers.database_url, servers.broker_url
        if end == "kill":
            servers.postgres.kill()
            # with `always`, everything that it confirmed is on disk
            servers.valkey.kill()
            assert not servers.postgres.is_running
            assert not servers.valkey.is_running

        servers.postgres.restart(immediate=end == "crash")
        servers.valkey.restart(immediate=end == "crash")

        assert (servers.database_url, servers.broker_url) == urls
        assert rows_kept(servers.database_url) == 1
        assert items_kept(servers.broker_url) == 1


def test_a_data_dir_keeps_data_and_urls_between_runs(temporary_folder: Path) -> None:
    with Servers(temporary_folder / "data") as servers:
        write(servers)
        urls = servers.database_url, servers.broker_url

    with Servers(temporary_folder / "data") as servers:
        assert (servers.database_url, servers.broker_url) == urls
        assert rows_kept(servers.database_url) == 1
        assert items_kept(servers.broker_url) == 1


def test_a_data_dir_is_taken_over_from_a_killed_run(temporary_folder: Path) -> None:
    process, stack = launch(temporary_folder / "data")
    with psycopg.connect(str(stack["database_url"])) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    process.kill()
    process.wait()

    # Immediately: it waits itself until the servers of the killed run have ended.
    with Servers(temporary_folder / "data", durable=False) as servers:
        assert rows_kept(servers.database_url) == 1


def test_a_stale_pid_file_does_not_stop_the_next_run(temporary_folder: Path) -> None:
    with Servers(temporary_folder / "data", durable=False) as servers:
        write(servers)
    stale = temporary_folder / "data" / "postgres" / "data" / "postmaster.pid"
    # A running process of the same account, which Postgres would take for a running server.
    owner = stale.parent.stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None) as living:
        stale.write_text(f"{living.pid}\n{stale.parent}\n1\n1\n\n127.0.0.1\n1 1\nready\n")
        os.chown(stale, owner, stale.parent.stat().st_gid)
        try:
            with Servers(temporary_folder / "data", durable=False) as servers:
                assert rows_kept(servers.database_url) == 1
        finally:
            living.kill()


def test_an_interrupted_initdb_is_started_again(temporary_folder: Path) -> None:
    unfinished = temporary_folder / "data" / "postgres" / "new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    with Servers(temporary_folder / "data", durable=False) as servers:
        write(servers)

        assert rows_kept(servers.database_url) == 1


def test_one_data_dir_serves_one_run(temporary_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbook_ops.devstack.folders.LOCK_TIMEOUT_SECONDS", 0.0)

    with (
        Servers(temporary_folder / "data", durable=False),
        pytest.raises(ServerFailed, match="in use by another run"),
        Servers(temporary_folder / "data", durable=False),
    ):
        pass


def test_servers_given_by_url_are_not_started(temporary_folder: Path) -> None:
    with Servers(database_url="postgresql://elsewhere/app", broker_url="redis://elsewhere/0") as servers:
        assert servers.database_url == "postgresql://elsewhere/app"
        assert servers.broker_url == "redis://elsewhere/0"
        assert list(temporary_folder.iterdir()) == []
        with pytest.raises(ServerFailed, match="given by URL"):
            servers.postgres.restart()


def test_one_server_may_be_given_by_url() -> None:
    with Servers(database_url="postgresql://elsewhere/app") as servers:
        with connect_to_broker(servers.broker_url) as client:
            assert client.ping()
        with pytest.raises(ServerFailed, match="given by URL"):
            servers.postgres.kill()


def test_both_servers_need_their_password() -> None:
    with Servers(durable=False) as servers:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{servers.postgres.port}/postgres")
        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=servers.valkey.port, retry=once) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_a_full_valkey_rejects_writes_and_drops_nothing() -> None:
    with (
        Servers(database_url="postgresql://elsewhere/app") as servers,
        connect_to_broker(servers.broker_url) as client,
    ):
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(("durable", "setting"), [(True, "on"), (False, "off")])
def test_commits_are_durable_by_default(durable: bool, setting: str) -> None:
    with (
        Servers(broker_url="redis://elsewhere/0", durable=durable) as servers,
        psycopg.connect(servers.database_url) as connection,
    ):
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {name}".encode()).fetchone() == (setting,)


def test_a_failed_start_shows_the_log(temporary_folder: Path) -> None:
    with Servers(temporary_folder / "data", durable=False) as servers:
        data = temporary_folder / "data" / "postgres" / "data"
        servers.postgres.stop()
        (data / "postgresql.conf").write_text("no_such_setting = 1\n")

        with pytest.raises(ServerFailed, match="no_such_setting"):
            servers.postgres.start()


def test_a_suspended_process_is_stopped() -> None:
    with Servers(database_url="postgresql://elsewhere/app") as servers:
        os.kill(servers.valkey.pid, signal.SIGSTOP)

        servers.valkey.stop()

        assert not servers.valkey.is_running
