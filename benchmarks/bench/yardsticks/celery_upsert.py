"""Stock Celery, one task a user, one upsert on a connection kept for each process."""

from __future__ import annotations

import functools
from typing import Any

import psycopg
from benchmarks.bench.yardsticks import table
from benchmarks.bench.yardsticks.stock import make_app
from celery import Celery
from psycopg.types.json import Json

TASK = "yardstick.upsert"


@functools.cache
def connection() -> psycopg.Connection:
    """Made in the child that uses it: connections do not survive a fork."""
    return psycopg.connect(table.database_url(), autocommit=True)


def keep(user_id: str, traits: dict[str, Any]) -> None:
    connection().execute(table.UPSERT, (user_id, Json(traits)))


def celery_app(broker_url: str) -> Celery:
    return make_app("yardstick_upsert", broker_url, TASK, keep)


app = celery_app(table.broker_url())
