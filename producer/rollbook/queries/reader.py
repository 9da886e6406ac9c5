"""The seam between questions and the place where the answers are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

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
from rollbook.queries.cursors import Cursor
from rollbook.queries.job_cursors import JobCursor
from rollbook_shared.jobs.models import Merge


class Reader(Protocol):
    """Answers questions, and writes where only a person's word decides: `cancel` and `drop`. Safe to use from threads
    and in forked children. Every method may raise `Unavailable` (the database does not answer in time) and
    `NotConfigured` (it has no tables of Rollbook, or the role may not do this).
    """

    def user(self, user_id: str) -> User:
        """One user, or `UserNotFound`."""

    def users(self, limit: int, after: str | None, where: Mapping[str, Any]) -> Page[User]:
        """A page of users in id order."""

    def preferences(self, user_id: str) -> dict[str, dict[str, Any]]:
        """The preference sets of one user, or `UserNotFound`."""

    def channel_data(self, user_id: str) -> dict[str, dict[str, Any]]:
        """The channel data of one user, or `UserNotFound`."""

    def status(self, job_id: str, *, kind: str | None = None, digests: Collection[bytes] = ()) -> JobStatus:
        """What became of a job; with its `digests`, of the one with that body among those of its id."""

    def deferred(self, limit: int, after: JobCursor | None) -> Page[DeferredJob]:
        """A page of deferred jobs, the first due first."""

    def cancel(self, job_id: str) -> bool:
        """Take a deferred job back, if it has not taken effect; say whether it was there to be taken back."""

    def dead(self, limit: int, after: JobCursor | None) -> Page[DeadLetter]:
        """A page of dead letters without their bodies, the newest first."""

    def letters(self, letter_id: str) -> list[DeadLetter]:
        """The dead letters that bear this id, with their bodies, the oldest first."""

    def drop(self, letter: DeadLetter) -> bool:
        """Forget this dead letter, unless it has died again meanwhile; say whether it was there."""

    def merge_preview(self, merge: Merge) -> MergePreview:
        """What the merge would do now."""

    def feed(self, user_id: str, channel: str, status: str, limit: int, after: Cursor) -> Feed:
        """A page of a feed, and its counts."""

    def messages(self, user_id: str, channel: str | None, status: str, limit: int, after: Cursor) -> Page[Message]:
        """A page of messages, newest first; None: on every channel, `any`: whatever their marks."""

    def activities(self, user_id: str, role: ActivityRole, limit: int, after: Cursor) -> Page[Activity]:
        """A page of activities, newest first."""

    def export(self, user_id: str) -> dict[str, Any]:
        """Everything that is held of the person that an id stands for, as JSON."""

    def close(self) -> None:
        """Let go of connections. Asking again opens them again."""
