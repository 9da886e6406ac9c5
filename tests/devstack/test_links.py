"""As root, the local servers trust nothing in the folders that belong to the account they run as."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rollbook_ops.devstack import ServerFailed, Servers, append_only_file
from rollbook_ops.devstack.accounts import Account, server_account
from rollbook_shared.private_file import create_private_file

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another account"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that any account can enter."""
    with TemporaryDirectory(prefix="rollbook-links-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def account(folder: Path) -> Account:
    account = server_account(folder / "postgres")
    assert account is not None
    return account


@pytest.fixture
def victim(folder: Path) -> Path:
    """A file of root's."""
    path = folder / "victim"
    path.write_text("precious")
    return path


def give(path: Path, account: Account) -> Path:
    path.mkdir(mode=0o700)
    os.chown(path, account.uid, account.gid)
    return path


def state(path: Path) -> tuple[str, int, int]:
    return path.read_text(), path.stat().st_uid, path.stat().st_mode & 0o777


LINKS = ("postgres/password", "postgres.password", "valkey/valkey.conf", "valkey.conf", "postgres.new", "valkey.new")


def test_no_link_in_the_way_leads_to_a_file_of_roots(folder: Path, account: Account, victim: Path) -> None:
    before = state(victim)
    for server in ("postgres", "valkey"):
        give(folder / server, account)
    for link in LINKS:
        (folder / link).symlink_to(victim)

    with Servers(folder, durable=False):
        pass

    assert state(victim) == before


@pytest.mark.parametrize("server", ["postgres", "valkey"])
def test_a_link_in_place_of_a_servers_folder_is_not_given_away(folder: Path, victim: Path, server: str) -> None:
    own = folder / "own"
    own.mkdir()
    (folder / server).symlink_to(own)

    with pytest.raises(ServerFailed, match=f"{server} is not a folder of its own"), Servers(folder, durable=False):
        pass

    assert own.stat().st_uid == 0


def test_a_stale_pid_file_behind_a_link_stays(folder: Path, account: Account) -> None:
    running = folder / "running"
    running.mkdir()
    (running / "postmaster.pid").write_text("1")
    (give(folder / "postgres", account) / "data").symlink_to(running)

    with pytest.raises(ServerFailed), Servers(folder, broker_url="redis://not-needed/0", durable=False):
        pass

    assert (running / "postmaster.pid").read_text() == "1"


def test_the_checker_of_the_append_only_file_runs_as_the_account(folder: Path, account: Account) -> None:
    programs = folder / "programs"
    programs.mkdir()
    (programs / "valkey-server").touch()
    checker = programs / "valkey-check-aof"
    checker.write_text('#!/bin/sh\nid -u > "$2.uid"\n')
    checker.chmod(0o755)
    home = give(folder / "valkey", account)
    give(home / append_only_file.FOLDER, account)
    (home / append_only_file.FOLDER / "aof.manifest").touch()

    append_only_file.repair(home, programs / "valkey-server", account)

    (ran_as,) = (home / append_only_file.FOLDER).glob("*.uid")
    assert int(ran_as.read_text()) == account.uid


def test_a_private_file_replaces_what_is_in_its_place(folder: Path, victim: Path) -> None:
    path = folder / "private"
    path.symlink_to(victim)

    with create_private_file(path) as file:
        file.write("secret")

    assert state(path) == ("secret", 0, 0o600)
    assert victim.read_text() == "precious"
