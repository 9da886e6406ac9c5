"""Describes the machine, so that figures can be compared; without its name."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import psycopg
import redis

_PACKAGES = ("celery", "kombu", "redis", "psycopg", "sqlalchemy", "dramatiq", "taskiq", "taskiq-redis")


def describe(database_url: str, broker_url: str) -> dict[str, str | int]:
    """What the figures depend on. No host name, no user, no path."""
    with psycopg.connect(database_url) as connection, redis.Redis.from_url(broker_url) as client:
        (postgres,) = connection.execute("SHOW server_version").fetchone() or ("?",)
        answers = client.info("server")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "ram_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": str(postgres).split()[0],
        "valkey": str(answers.get("valkey_version", answers["redis_version"])),
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
