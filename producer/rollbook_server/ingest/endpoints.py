"""The calls of Segment's HTTP API: batches and single calls.

The answer names each call that is not valid, and is 200 all the same: with another status a library would drop the
whole batch.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, assert_never

from pydantic import ConfigDict
from typing_extensions import TypedDict

from rollbook.commands import WriteOptions
from rollbook.errors import InvalidRequest, Problem
from rollbook_server.access.keys import KeyKind, bearer_key
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import ApiError
from rollbook_server.idempotency import WriteRecord
from rollbook_server.ingest.planned_jobs import (
    CallRejection,
    IdentifyRun,
    PlannedJob,
    PlannedMerge,
    PlannedTrigger,
    plan_jobs,
)
from rollbook_server.routes import ApiRoute
from rollbook_server.settings import AnonymousVisitors
from rollbook_server.writes import uuid_job_id

logger: Final = logging.getLogger("rollbook.server")

MAX_CALLS: Final = 2_500
"""Of one batch; Segment's bound."""


class SegmentCall(TypedDict, total=False):
    """One call, with the fields of Segment's specification."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    writeKey: str
    messageId: str
    userId: str | None
    anonymousId: str | None
    timestamp: str
    sentAt: str


class SegmentBatch(TypedDict):
    """Several calls, each with its `type`."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    batch: list[Any]


class RejectedCall(TypedDict):
    """A call that is not valid, by its place in the batch."""

    index: int
    field: str
    reason: str


class IngestAnswer(TypedDict):
    """What became of the calls."""

    success: bool
    rejected: list[RejectedCall]
    skipped: dict[str, int]


async def batch(call: Call) -> Answer:
    """Take a batch of calls. The broker has their jobs when it is answered."""
    _authorise(call)
    calls = call.body["batch"]
    if len(calls) > MAX_CALLS:
        raise ApiError(400, "batch_too_large", f"a batch has at most {MAX_CALLS} calls")
    return await _ingest(call, calls)


async def _single(call: Call, kind: str) -> Answer:
    _authorise(call)
    return await _ingest(call, [{**call.body, "type": kind}])


async def identify(call: Call) -> Answer:
    """Take one identify call."""
    return await _single(call, "identify")


async def track(call: Call) -> Answer:
    """Take one track call. It triggers a workflow if the registry says so for its event; others are counted."""
    return await _single(call, "track")


async def alias(call: Call) -> Answer:
    """Take one alias call: a merge of `previousId` into `userId`."""
    return await _single(call, "alias")


async def group(call: Call) -> Answer:
    """Take one group call, which is only counted."""
    return await _single(call, "group")


async def page(call: Call) -> Answer:
    """Take one page call, which is only counted."""
    return await _single(call, "page")


async def screen(call: Call) -> Answer:
    """Take one screen call, which is only counted."""
    return await _single(call, "screen")


def _authorise(call: Call) -> None:
    """Check the write key: of HTTP's Basic or Bearer authentication, or in the body.

    Raises:
        ApiError: 401, it is missing or not valid.
    """
    key = _write_key(call.headers.get("authorization")) or call.body.get("writeKey")
    if not isinstance(key, str) or call.services.segment_keys.kind_of(key) is not KeyKind.SECRET:
        raise ApiError(401, "authentication_required", "the write key is missing or not valid")


def _write_key(authorization: str | None) -> str | None:
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return bearer_key(authorization)
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


async def _ingest(call: Call, calls: list[Any]) -> Answer:
    limits, settings = call.services.limits, call.services.settings
    plan = plan_jobs(
        calls,
        sent_at=call.body.get("sentAt"),
        now=datetime.now(UTC),
        skew=limits.max_clock_skew,
        anonymous=settings.segment_anonymous is AnonymousVisitors.USERS,
        registry=call.services.registry.current,
        max_bulk_users=limits.max_bulk_users,
    )
    rejected = list(plan.rejections)
    for job in plan.jobs:
        rejected += await _send(call, job)
    if rejected or plan.skipped:
        logger.info("segment: %d of %d calls rejected, skipped %s", len(rejected), len(calls), dict(plan.skipped))
    body = {
        "success": True,
        "rejected": [
            {"index": each.index, "field": each.field, "reason": each.reason}
            for each in sorted(rejected, key=lambda rejection: rejection.index)
        ],
        "skipped": dict(plan.skipped),
    }
    return Answer(body=body)


async def _send(call: Call, job: PlannedJob) -> list[CallRejection]:
    """Send the job; return what the client refuses of it. Of a run of identifies the others are sent."""
    client = call.services.client
    match job:
        case IdentifyRun():
            return await _send_users(call, job)
        case PlannedMerge():
            options: WriteOptions = {"job_id": job.job_id, "occurred_at": job.occurred_at}
            return await _rejections_of(
                job.index, partial(client.users.merge, job.primary_id, job.secondary_id, **options)
            )
        case PlannedTrigger():
            return await _send_trigger(call, job)
        case _:
            assert_never(job)


async def _send_users(call: Call, run: IdentifyRun) -> list[CallRejection]:
    rejected: list[CallRejection] = []
    left = list(zip(run.users, run.times, run.indexes, strict=True))
    job_id = run.job_id()
    while left:
        users, times, indexes = zip(*left, strict=True)
        try:
            await call.services.client.users.bulk_identify(users, timestamps=times, job_id=job_id)
            break
        except InvalidRequest as error:
            bad = {problem.index for problem in error.problems}
            if None in bad:
                raise
            rejected += [_rejection(indexes[problem.index or 0], problem) for problem in error.problems]
            left = [each for place, each in enumerate(left) if place not in bad]
            job_id = f"{run.job_id()}-{len(left)}"
    return rejected


async def _send_trigger(call: Call, job: PlannedTrigger) -> list[CallRejection]:
    registry = call.services.registry.current
    workflow = registry.workflow(job.workflow)
    if workflow is None or not workflow.active:
        return [CallRejection(index=job.index, field="event", reason="its workflow is not active")]
    record = WriteRecord(job_id=uuid_job_id(None, job.occurred_at), occurred_at=job.occurred_at)
    if job.message_id is not None:
        key = f"track\n{job.message_id}"
        new = WriteRecord(job_id=uuid_job_id(key, job.occurred_at), occurred_at=job.occurred_at)
        record = await call.services.records.begin(job.message_id[:255], "track", b"", lambda: new)
    return await _rejections_of(
        job.index,
        partial(
            call.services.client.workflows.trigger,
            workflow.key,
            [job.user_id],
            data=job.data,
            channels=registry.channel_types(workflow),
            categories=workflow.categories,
            job_id=record.job_id,
            occurred_at=record.occurred_at,
        ),
    )


async def _rejections_of(index: int, send: Callable[[], Awaitable[Any]]) -> list[CallRejection]:
    try:
        await send()
    except InvalidRequest as error:
        return [_rejection(index, problem) for problem in error.problems]
    return []


def _rejection(index: int, problem: Problem) -> CallRejection:
    field = problem.field.partition("].")[2] if problem.field.startswith("users[") else problem.field
    return CallRejection(index=index, field=field, reason=problem.reason)


_HANDLERS: Final[Mapping[str, Callable[[Call], Awaitable[Answer]]]] = {
    "identify": identify,
    "track": track,
    "alias": alias,
    "group": group,
    "page": page,
    "screen": screen,
}

ENDPOINTS: Final = (
    ApiRoute(
        method="POST",
        path="/v1/batch",
        handler=batch,
        body=SegmentBatch,
        answer=IngestAnswer,
        authorised_by_handler=True,
        tag="Segment",
    ),
    *(
        ApiRoute(
            method="POST",
            path=f"/v1/{kind}",
            handler=_HANDLERS[kind],
            body=SegmentCall,
            answer=IngestAnswer,
            authorised_by_handler=True,
            tag="Segment",
        )
        for kind in _HANDLERS
    ),
)
