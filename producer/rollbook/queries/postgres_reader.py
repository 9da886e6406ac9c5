"""Answers from Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from rollbook.models import (
    Activity,
    ActivityRole,
    DeadLetter,
    DeferredJob,
    Feed,
    JobStatus,
    MergePreview,
    Message,
    Page,
    User,
)
from rollbook.queries.connections import Database
from rollbook.queries.cursors import Cursor
from rollbook.queries.dead_letters import drop, find_dead, find_dead_letters
from rollbook.queries.deferred_jobs import cancel, find_deferred
from rollbook.queries.history import find_activities, find_feed, find_messages
from rollbook.queries.job_cursors import JobCursor
from rollbook.queries.job_status import find_status
from rollbook.queries.merge_preview import find_preview
from rollbook.queries.user_export import find_export
from rollbook.queries.users import find_page, find_row, find_user
from rollbook_shared.database.tables import current_users
from rollbook_shared.jobs.models import Merge

_MICROSECOND: Final = timedelta(microseconds=1)


class PostgresReader:
    """The `Reader` of an application: every answer is one short question to the views."""

    def __init__(self, url: str, history: timedelta, timeout: timedelta) -> None:
        self._database = Database(url, timeout)
        self._history = history // _MICROSECOND

    def user(self, user_id: str) -> User:
        with self._database.connect() as connection:
            return find_user(connection, user_id)

    def users(self, limit: int, after: str | None, where: Mapping[str, Any]) -> Page[User]:
        with self._database.connect() as connection:
            return find_page(connection, limit, after, where)

    def preferences(self, user_id: str) -> dict[str, dict[str, Any]]:
        with self._database.connect() as connection:
            return dict(find_row(connection, user_id, current_users.c.preferences)["preferences"])

    def channel_data(self, user_id: str) -> dict[str, dict[str, Any]]:
        with self._database.connect() as connection:
            return dict(find_row(connection, user_id, current_users.c.channel_data)["channel_data"])

    def status(self, job_id: str, *, kind: str | None = None, digests: Collection[bytes] = ()) -> JobStatus:
        with self._database.connect() as connection:
            return find_status(connection, job_id, kind=kind, digests=digests)

    def deferred(self, limit: int, after: JobCursor | None) -> Page[DeferredJob]:
        with self._database.connect() as connection:
            return find_deferred(connection, limit, after)

    def cancel(self, job_id: str) -> bool:
        with self._database.connect(readonly=False) as connection:
            return cancel(connection, job_id)

    def dead(self, limit: int, after: JobCursor | None) -> Page[DeadLetter]:
        with self._database.connect() as connection:
            return find_dead(connection, limit, after)

    def letters(self, letter_id: str) -> list[DeadLetter]:
        with self._database.connect() as connection:
            return find_dead_letters(connection, letter_id)

    def drop(self, letter: DeadLetter) -> bool:
        with self._database.connect(readonly=False) as connection:
            return drop(connection, letter)

    def merge_preview(self, merge: Merge) -> MergePreview:
        with self._database.connect("REPEATABLE READ") as connection:
            return find_preview(connection, merge, self._history)

    def feed(self, user_id: str, channel: str, status: str, limit: int, after: Cursor) -> Feed:
        with self._database.connect() as connection:
            return find_feed(connection, user_id, channel, status, limit, after)

    def messages(self, user_id: str, channel: str | None, status: str, limit: int, after: Cursor) -> Page[Message]:
        with self._database.connect() as connection:
            return find_messages(connection, user_id, channel, status, limit, after)

    def activities(self, user_id: str, role: ActivityRole, limit: int, after: Cursor) -> Page[Activity]:
        with self._database.connect() as connection:
            return find_activities(connection, user_id, role, limit, after)

    def export(self, user_id: str) -> dict[str, Any]:
        with self._database.connect("REPEATABLE READ") as connection:
            return find_export(connection, user_id)

    def close(self) -> None:
        self._database.close()
