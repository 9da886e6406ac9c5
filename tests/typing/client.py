"""The types that a type checker sees of the client. It is never run; mypy checks it with the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type

from rollbook import (
    Activity,
    Actor,
    AsyncJobHandle,
    AsyncRollbook,
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
from rollbook.testing import AsyncRecordingRollbook, Identify, RecordingRollbook, async_recording, recording


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


async def awaited_writes(rb: AsyncRollbook, choice: bool) -> None:
    assert_type(await rb.users.identify("u1", {"email": "ann@example.com"}, job_id="j"), AsyncJobHandle)
    assert_type(await rb.users.identify(user_id="u1", traits=None), AsyncJobHandle)
    assert_type(await rb.users.bulk_identify([{"id": "u1"}], timestamps=[datetime.now(UTC)]), AsyncJobHandle)
    assert_type(await rb.users.merge("u1", from_user_id="guest"), AsyncJobHandle)
    assert_type(await rb.users.merge("u1", "guest", dry_run=True), MergePreview)
    assert_type(await rb.users.merge("u1", "guest", dry_run=choice), AsyncJobHandle | MergePreview)
    assert_type(await rb.workflows.trigger("w", recipients=["u1", {"id": "u2"}], actor="u3"), AsyncJobHandle)
    assert_type(await rb.users.delete("u1", delay=1.5), AsyncJobHandle)
    assert_type(await rb.messages.mark(["m"], "read", job_id="j"), AsyncJobHandle)
    async with rb.buffered(max_users=5) as buffered:
        assert_type(await buffered.users.identify("u1", {"plan": "pro"}), AsyncJobHandle)
    assert_type(await rb.outbox(object()).users.delete("u1"), AsyncJobHandle)


async def awaited_reads(rb: AsyncRollbook, job: AsyncJobHandle) -> None:
    assert_type(await rb.users.get("u1"), User)
    assert_type(await rb.users.list(where={"plan": "pro"}), Page[User])
    assert_type(rb.users.all(), AsyncIterator[User])
    assert_type(await job.wait(timeout=1), JobStatus)
    assert_type(await rb.jobs.get("j"), JobStatus)
    assert_type(await rb.jobs.cancel("j"), bool)
    assert_type(await rb.jobs.list_dead_letters(), Page[DeadLetter])
    assert_type(await rb.jobs.replay("j", job_id="k"), JobStatus)
    assert_type(await rb.feeds.list("u1", status="unread", limit=5), Feed)
    assert_type(await rb.activities.list("u1", role="actor"), Page[Activity])


async def awaited_opens() -> None:
    async with AsyncRollbook.from_env() as rb:
        assert_type(rb, AsyncRollbook)
    assert_type(async_recording(), AsyncRecordingRollbook)
    assert_type(async_recording().sent.of(Identify), list[Identify])


async def awaited_rejected(rb: AsyncRollbook) -> None:
    await rb.users.identify(7)  # type: ignore[arg-type]
    await rb.users.identify("u1", plan="pro")  # type: ignore[call-arg]
    await rb.users.delete("u1", job_id=7)  # type: ignore[arg-type]
    await rb.feeds.list("u1", status="new")  # type: ignore[arg-type]
    print(rb.users.get("u1").email)  # type: ignore[attr-defined]


def rejected(rb: Rollbook) -> None:
    rb.users.identify(7)  # type: ignore[arg-type]
    rb.users.identify("u1", ["email"])  # type: ignore[arg-type]
    rb.users.bulk_identify(["u1"])  # type: ignore[list-item]
    rb.users.delete("u1", job_id=7)  # type: ignore[arg-type]
