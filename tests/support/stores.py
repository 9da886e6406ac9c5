"""The stores under contract, each with what a test may read: the world, the jobs, the dead letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Protocol

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from tests.support.memory_store import MemoryStore
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.database.tables import SCHEMA, metadata
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.reference.world import World, WorldActivity
from rollbook_worker.store import Outcome, PostgresStore, ReceivedJob, Store

ENGAGEMENTS: Final = ("seen", "read", "interacted", "archived")
_TIMEOUT: Final = timedelta(seconds=DEADLINE_SECONDS)
"""A busy machine takes long over statements and locks. Tests of timeouts set timeouts of their own."""


class Subject(Protocol):
    """A store, and what it keeps."""

    name: str

    @property
    def store(self) -> Store: ...

    def reset(self) -> None:
        """Forget everything."""

    def release_due(self, *, now: int) -> int:
        """Apply the deferred jobs that are due; say how many."""

    def world(self) -> World: ...

    def engagements(self) -> dict[str, set[str]]:
        """The engagements of each message that a user owns."""

    def ledger(self) -> dict[str, tuple[str, int, dict[str, Any] | None]]:
        """Of each job its state, its further deliveries, and the detail."""

    def dead(self) -> list[tuple[str, str]]:
        """Job id and code of each dead letter."""

    def deferred(self) -> list[str]:
        """The ids of the deferred jobs."""


class InMemory:
    name = "memory"

    def __init__(self) -> None:
        self.store = MemoryStore()

    def reset(self) -> None:
        self.store = MemoryStore()

    def release_due(self, *, now: int) -> int:
        return self.store.release_due(now=now)

    def world(self) -> World:
        return self.store.world()

    def engagements(self) -> dict[str, set[str]]:
        return {id_: set(message["engagements"]) for id_, message in self.world()["messages"].items()}

    def ledger(self) -> dict[str, tuple[str, int, dict[str, Any] | None]]:
        return {id_: (entry.state.value, entry.duplicates, entry.detail) for id_, entry in self.store.jobs.items()}

    def dead(self) -> list[tuple[str, str]]:
        return sorted((job_id, code) for (job_id, _), code in self.store.dead.items())

    def deferred(self) -> list[str]:
        return sorted(self.store.deferred)


class OnPostgres:
    """The store on Postgres, read through the views that people read."""

    name = "postgres"

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.store = PostgresStore(database_url, lock_timeout=_TIMEOUT, statement_timeout=_TIMEOUT)
        self.connection = psycopg.connect(database_url, autocommit=True)

    def close(self) -> None:
        self.store.close()
        self.connection.close()

    def reset(self) -> None:
        # for a handful of rows much faster than TRUNCATE
        for table in metadata.sorted_tables:
            self.connection.execute(SQL("DELETE FROM {}").format(Identifier(SCHEMA, table.name)))

    def release_due(self, *, now: int) -> int:
        return self.store.dispatcher.release_due(now=now)

    def world(self) -> World:
        return {
            "users": {
                row["id"]: {
                    "attributes": {
                        key.removeprefix("a."): value
                        for key, value in row["profile"].items()
                        if key.startswith("a.") and value is not None
                    },
                    "properties": row["properties"],
                    "preferences": row["preferences"],
                    "channel_data": row["channel_data"],
                    "updated": row["updated_stamp"],
                }
                for row in self._rows("current_users")
            },
            "merged": {row["id"]: row["merged_into"] for row in self._rows("merged_users")},
            "messages": {
                str(row["id"]): {**_activity(row), "channel": row["channel"], "engagements": _engagements(row)}
                for row in self._rows("owned_messages")
            },
            "activities": {str(row["id"]): _activity(row) for row in self._rows("owned_activities")},
        }

    def engagements(self) -> dict[str, set[str]]:
        return {str(row["id"]): {name for name in ENGAGEMENTS if row[name]} for row in self._rows("owned_messages")}

    def ledger(self) -> dict[str, tuple[str, int, dict[str, Any] | None]]:
        return {row["id"]: (row["state"], row["duplicates"], row["detail"]) for row in self._rows("jobs")}

    def dead(self) -> list[tuple[str, str]]:
        return sorted((row["id"], row["code"]) for row in self._rows("dead_letters"))

    def deferred(self) -> list[str]:
        return sorted(row["id"] for row in self._rows("deferred_jobs"))

    def _rows(self, table: str) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(SQL("SELECT * FROM {}").format(Identifier(SCHEMA, table))).fetchall()


def arrive(subject: Subject, *messages: object, now: int) -> list[Outcome]:
    """Let messages arrive together, as they came from the broker."""
    return subject.store.apply([ReceivedJob.of(message) for message in messages], now=now)


def _engagements(row: dict[str, Any]) -> dict[str, int]:
    times = {name: row[f"{name}_at"] for name in ENGAGEMENTS}
    return {name: microseconds(at) for name, at in times.items() if at is not None}


def _activity(row: dict[str, Any]) -> WorldActivity:
    return {
        "owner": row["owner"],
        "actor": row["actor"],
        "missing_actor": row["had_actor"] and row["actor"] is None,
        "workflow": row["workflow"],
    }
