"""Checks the versions of the installed packages and of the servers."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rollbook_shared.observability.findings import Finding, ok, problem, warning

OLDEST_POSTGRES: Final = 14
OLDEST_REDIS: Final = (6, 2)
"""The first version that pops several messages from a list in one command."""
_SERIES: Final = {"celery": "5.7", "kombu": "5.7"}
"""What workers run on. The layout of kombu's keys in Redis may change with any series."""


def installed_versions() -> dict[str, str]:
    """Return the versions of Rollbook and of what its workers run on, as far as these are installed here."""
    versions = {}
    for name in ("rollbook", *_SERIES):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def check_versions(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Check that Celery and kombu are the series that workers were tested with. The client needs neither."""
    yield ok("rollbook", f"{versions['rollbook']} on Python {platform.python_version()}")
    for name, series in _SERIES.items():
        if name not in versions:
            continue
        if versions[name].startswith(f"{series}."):
            yield ok(name, versions[name])
        else:
            advice = f"Where workers run, install {name} {series}.*, as the extra `worker` does. The client needs none."
            yield warning(name, f"{versions[name]}, not {series}", advice)


def check_postgres_version(number: int) -> Finding:
    """Check the version of Postgres, given as its setting `server_version_num`."""
    summary = f"version {number // 10_000}.{number % 10_000}"
    if number // 10_000 < OLDEST_POSTGRES:
        return problem("postgres", summary, f"Upgrade Postgres to {OLDEST_POSTGRES} or later.")
    return ok("postgres", summary)


def check_redis_version(info: Mapping[str, object]) -> Finding:
    """Check the version in the reply to INFO. Valkey also reports the version of Redis that it is compatible with."""
    summary = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    numbers = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2] if part.isdigit())
    if numbers < OLDEST_REDIS:
        return problem("redis", summary, "Upgrade to Redis 6.2 or later, or to Valkey.")
    return ok("redis", summary)
