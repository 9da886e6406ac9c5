"""A database whose jobs make deliveries, by a registry that a test may exchange."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from tests.support.databases import delete_rows

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.registry import Registry, parse_registry
from rollbook_worker.store import Outcome, PostgresStore, ReceivedJob

REGISTRY: Final = """
[channels.mail]
type = "email"
delivery = "claim"

[channels.fcm]
type = "push"
delivery = "claim"

[channels.slack]
type = "chat"
"""
MAIL: Final = ("email",)


class DeliveryStore:
    """The store of a worker, and what it keeps of deliveries."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.registry = parse_registry(REGISTRY)
        self.store = PostgresStore(database_url, registry=lambda: self.registry)
        self.connection = psycopg.connect(database_url, autocommit=True)

    def close(self) -> None:
        self.store.close()
        self.connection.close()

    def reset(self, registry: str = REGISTRY) -> None:
        """Empty every table, and read this registry."""
        self.registry = parse_registry(registry)
        delete_rows(self.connection)

    def without_registry(self) -> None:
        self.registry = Registry()

    def now(self) -> int:
        return self.store.now()

    def apply(self, *jobs: Job, now: int | None = None) -> list[Outcome]:
        return self.store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=now)

    def rows(self) -> list[dict[str, Any]]:
        """The deliveries with their messages, by recipient and channel."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT d.*, m.recipient FROM rollbook.deliveries AS d"
                " LEFT JOIN rollbook.messages AS m ON m.id = d.message_id"
                " ORDER BY m.recipient, d.channel, d.message_id"
            ).fetchall()

    def states(self) -> dict[str, tuple[str, str | None]]:
        """The state and the reason of each recipient's one delivery."""
        return {row["recipient"]: (row["state"], row["reason"]) for row in self.rows()}

    def later(self, time: timedelta) -> None:
        """Let time pass for the deliveries: everything that they wait for is sooner by it."""
        self.connection.execute(
            "UPDATE rollbook.deliveries SET due_at = due_at - %(time)s, expires_at = expires_at - %(time)s",
            {"time": time},
        )
