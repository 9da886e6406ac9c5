"""The versions that run here, and of the servers."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rollbook_ops.doctor.findings import Finding, ok, problem, warning

OLDEST_POSTGRES: Final = 14
OLDEST_REDIS: Final = (6, 2)
"""It was the first that takes several messages off a list in one step."""
_SERIES: Final = {"celery": "5.7", "kombu": "5.7"}
"""What workers run on. kombu's layout in Redis is no promise of its authors: another series may have another."""


def installed() -> dict[str, str]:
    """The versions of Rollbook and of what its workers run on, as far as that is installed here."""
    versions = {}
    for name in ("rollbook", *_SERIES):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def check_versions(found: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the packages are those that workers were tested with. The client runs beside any version, and without."""
    yield ok("rollbook", f"{found['rollbook']} on Python {platform.python_version()}")
    for name, series in _SERIES.items():
        if name not in found:
            continue
        if found[name].startswith(f"{series}."):
            yield ok(name, found[name])
        else:
            advice = (
                f"Where workers run, install {name} {series}.*, which rollbook[worker] pins; the client needs none."
            )
            yield warning(name, f"{found[name]}, not {series}", advice)


def check_postgres_version(number: int) -> Finding:
    """`number` as `server_version_num` has it."""
    said = f"version {number // 10_000}.{number % 10_000}"
    if number // 10_000 < OLDEST_POSTGRES:
        return problem("postgres", said, f"Upgrade Postgres to {OLDEST_POSTGRES} or later.")
    return ok("postgres", said)


def check_redis_version(info: Mapping[str, object]) -> Finding:
    """`info` as INFO has it. Valkey says which Redis it equals."""
    said = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    numbers = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2] if part.isdigit())
    if numbers < OLDEST_REDIS:
        return problem("redis", said, "Upgrade to Redis 6.2 or later, or to Valkey.")
    return ok("redis", said)
