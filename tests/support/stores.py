"""The stores under contract, each with what a test may read: the world, the jobs, the dead letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Protocol

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from tests.support.databases import ROLLBOOK, Content, delete_rows
from tests.support.memory_store import MemoryStore
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.database.schema_cursor import use_schema
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.reference.world import World, WorldActivity
from rollbook_worker.core import ActivityCreated, MessageCreated
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

    def forget_unknown_recipients(self, *, now: int) -> None:
        """Forget what was addressed, more than a day ago, to ids that stood for no user."""

    def bound_users(self, most: int) -> None:
        """Keep no more bytes than this of one user, until `reset`."""

    def rows_of_recipient(self, user_id: str) -> int:
        """How many messages and activities are kept that are addressed to the id, whether a user owns them or not."""

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

    def forget_unknown_recipients(self, *, now: int) -> None:
        self.store.forget_unknown_recipients(now=now)

    def bound_users(self, most: int) -> None:
        self.store.max_user_bytes = most

    def rows_of_recipient(self, user_id: str) -> int:
        rows = [fact for fact in self.store.kept.values() if isinstance(fact, (ActivityCreated, MessageCreated))]
        return sum(row.recipient == user_id for row in rows)

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


def _store(url: str, schema: str, **bounds: int) -> PostgresStore:
    timeouts = {"lock_timeout": _TIMEOUT, "statement_timeout": _TIMEOUT}
    return PostgresStore(url, schema=schema, **timeouts, **bounds)  # type: ignore[arg-type]


class OnPostgres:
    """The store on Postgres, read through the views that people read."""

    name = "postgres"

    def __init__(self, database_url: str, content: Content = ROLLBOOK) -> None:
        self.url = database_url
        self._content = content
        self.schema = content.schema
        self.store = self._unbounded = _store(database_url, content.schema)
        self.connection = psycopg.connect(database_url, autocommit=True)
        use_schema(self.connection, content.schema)

    def close(self) -> None:
        self.store.close()
        self.connection.close()

    def reset(self) -> None:
        if self.store is not self._unbounded:
            self.store.close()
            self.store = self._unbounded
        delete_rows(self.connection, self._content)

    def release_due(self, *, now: int) -> int:
        return self.store.dispatcher.release_due(now=now)

    def forget_unknown_recipients(self, *, now: int) -> None:
        while self.store.cleanup.forget_unknown_recipients(now=now, limit=2):
            pass

    def bound_users(self, most: int) -> None:
        self.store.close()
        self.store = _store(self.url, self._content.schema, max_user_bytes=most)

    def rows_of_recipient(self, user_id: str) -> int:
        row = self.connection.execute(
            "SELECT (SELECT count(*) FROM rollbook.messages WHERE recipient = %(id)s)"
            " + (SELECT count(*) FROM rollbook.activities WHERE recipient = %(id)s)",
            {"id": user_id},
        ).fetchone()
        return int(row[0]) if row else 0

    def world(self) -> World:
        tokens = self._push_tokens()
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
                    "push_tokens": tokens.get(row["id"], {}),
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

    def _push_tokens(self) -> dict[str, dict[str, list[str]]]:
        """By user and channel, the hashes of the tokens that the user sent last."""
        found: dict[str, dict[str, list[str]]] = {}
        rows = self.connection.execute(
            "SELECT DISTINCT rollbook.user_of_push_token(channel_id, token_hash), channel_id, encode(token_hash, 'hex')"
            " FROM rollbook.push_token_users ORDER BY 3"
        )
        for user_id, channel_id, token in rows:
            if user_id is not None:
                found.setdefault(user_id, {}).setdefault(channel_id, []).append(token)
        return found

    def _rows(self, table: str) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(SQL("SELECT * FROM {}").format(Identifier(self._content.schema, table))).fetchall()


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
