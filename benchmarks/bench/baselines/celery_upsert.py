"""Stock Celery, one task per user: one upsert on a kept connection of each process."""

from __future__ import annotations

import functools
from typing import Any

import psycopg
from benchmarks.bench.baselines import table
from benchmarks.bench.baselines.stock_celery import make_app
from celery import Celery
from psycopg.types.json import Json

TASK = "baseline.upsert"


@functools.cache
def connection() -> psycopg.Connection:
    """Created in the child that uses it: connections do not survive a fork."""
    return psycopg.connect(table.database_url(), autocommit=True)


def keep(user_id: str, traits: dict[str, Any]) -> None:
    connection().execute(table.UPSERT, (user_id, Json(traits)))


def celery_app(broker_url: str) -> Celery:
    return make_app("baseline_upsert", broker_url, TASK, keep)


app = celery_app(table.broker_url())
