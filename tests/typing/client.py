"""The types that a type checker sees of the client. It is never run; mypy checks it with the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type

from rollbook import (
    Activity,
    Actor,
    DeadLetter,
    DeferredJob,
    Feed,
    JobHandle,
    JobStatus,
    MergePreview,
    Message,
    Page,
    Rollbook,
    User,
)
from rollbook.testing import Identify, RecordingRollbook, recording


def writes(rb: Rollbook, choice: bool) -> None:
    assert_type(rb.users.identify("u1", {"email": "ann@example.com"}, job_id="j"), JobHandle)
    assert_type(rb.users.bulk_identify([{"id": "u1"}]), JobHandle)
    assert_type(rb.users.bulk_identify({"id": name} for name in "ab"), JobHandle)
    assert_type(rb.users.bulk_identify([{"id": "u1"}], timestamps=[datetime.now(UTC)], job_id="j"), JobHandle)
    assert_type(rb.users.merge("u1", from_user_id="guest"), JobHandle)
    assert_type(rb.users.merge("u1", "guest", dry_run=False), JobHandle)
    assert_type(rb.users.merge("u1", "guest", dry_run=True), MergePreview)
    assert_type(rb.users.merge("u1", "guest", dry_run=choice), JobHandle | MergePreview)
    assert_type(rb.workflows.trigger("w", recipients=["u1", {"id": "u2"}], actor="u3"), JobHandle)
    assert_type(rb.users.delete("u1", job_id="j", occurred_at=datetime.now(UTC)), JobHandle)
    assert_type(rb.users.delete("u1", run_at=datetime.now(UTC)), JobHandle)
    assert_type(rb.users.delete("u1", delay=timedelta(days=3)), JobHandle)
    assert_type(rb.users.delete("u1", delay=1.5), JobHandle)


def reads(rb: Rollbook, job: JobHandle) -> None:
    user = rb.users.get("u1")
    assert_type(user, User)
    assert_type(user.email, str | None)
    assert_type(user.created_at, datetime | None)
    assert_type(user.updated_at, datetime)
    assert_type(rb.users.list(where={"plan": "pro"}), Page[User])
    assert_type(rb.users.all(), Iterator[User])
    assert_type(job.wait(timeout=1), JobStatus)
    assert_type(rb.jobs.get("j"), JobStatus)
    assert_type(rb.jobs.wait("j"), JobStatus)
    assert_type(rb.jobs.list_deferred(), Page[DeferredJob])
    assert_type(rb.jobs.cancel("j"), bool)
    assert_type(rb.jobs.list_dead_letters(), Page[DeadLetter])
    assert_type(rb.jobs.get_dead_letter("j"), DeadLetter)
    assert_type(rb.jobs.replay("j", job_id="k"), JobStatus)
    assert_type(rb.jobs.drop("j"), bool)


def feeds(rb: Rollbook) -> None:
    feed = rb.feeds.list("u1", status="unread", limit=5, after=None)
    assert_type(feed, Feed)
    assert_type(feed.items[0].actor, Actor | None)
    assert_type(rb.messages.list("u1", channel="email"), Page[Message])
    assert_type(rb.messages.mark([item.id for item in feed.items], "read", job_id="j"), JobHandle)
    assert_type(rb.activities.list("u1", role="actor"), Page[Activity])
    rb.feeds.list("u1", status="new")  # type: ignore[arg-type]
    rb.messages.mark(["m"], "clicked")  # type: ignore[arg-type]


def opens() -> None:
    with Rollbook.from_env() as rb:
        assert_type(rb, Rollbook)
    assert_type(recording(), RecordingRollbook)
    assert_type(recording().sent.of(Identify), list[Identify])


def rejected(rb: Rollbook) -> None:
    rb.users.identify(7)  # type: ignore[arg-type]
    rb.users.identify("u1", ["email"])  # type: ignore[arg-type]
    rb.users.bulk_identify(["u1"])  # type: ignore[list-item]
    rb.users.delete("u1", job_id=7)  # type: ignore[arg-type]
