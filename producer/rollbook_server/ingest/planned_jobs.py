"""The jobs that the calls of a batch become, in their order: runs of identifies become bulk jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from rollbook.formats import segment
from rollbook.formats.records import MergeRecord, RejectedRecord, SkippedRecord, UserRecord
from rollbook.formats.timestamps import parse_time
from rollbook_server.ingest.clock_skew import call_time
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.json_values import canonical_json
from rollbook_shared.registry import Registry

_TRACK: Final = "track"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRejection:
    """A call that is not valid."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentifyRun:
    """Identifies that follow each other: a bulk job."""

    users: list[dict[str, Any]] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    """Of each user the place of its call in the batch."""
    digest: Any = field(default_factory=sha256)

    def job_id(self) -> str:
        """The same for the same calls at the same times."""
        return f"segment-identify-{self.digest.hexdigest()[:40]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedMerge:
    """An alias."""

    index: int
    primary_id: str
    secondary_id: str
    occurred_at: datetime
    job_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrigger:
    """A track whose event triggers a workflow."""

    index: int
    workflow: str
    user_id: str
    data: Mapping[str, Any]
    occurred_at: datetime
    message_id: str | None


PlannedJob = IdentifyRun | PlannedMerge | PlannedTrigger


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What becomes of a batch."""

    jobs: list[PlannedJob] = field(default_factory=list)
    rejections: list[CallRejection] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Calls that Rollbook has no use for, by their kind."""


def plan_jobs(
    calls: Sequence[Any],
    *,
    sent_at: object,
    now: datetime,
    skew: timedelta,
    anonymous: bool,
    registry: Registry,
    max_bulk_users: int,
) -> Plan:
    """Plan the jobs of a batch.

    sent_at: the `sentAt` of the batch, as it was sent.
    anonymous: visitors without a `userId` are users.
    """
    plan = Plan()
    sent = parse_time(sent_at)
    for index, call in enumerate(calls):
        if not isinstance(call, Mapping):
            plan.rejections.append(CallRejection(index=index, field="", reason="is not a JSON object"))
            continue
        at = call_time(call, index, sent_at=sent, now=now, skew=skew)
        if call.get("type") == _TRACK and call.get("event") in registry.events:
            _plan_trigger(plan, index, call, at, registry)
            continue
        timed = {**call, "timestamp": at.isoformat()}
        for _, content in segment.convert(timed, anonymous=anonymous, default_time=at):
            match content:
                case UserRecord():
                    _add_user(plan, index, content, at, call, max_bulk_users)
                case MergeRecord():
                    plan.jobs.append(
                        PlannedMerge(
                            index=index,
                            primary_id=content.primary_id,
                            secondary_id=content.secondary_id,
                            occurred_at=at,
                            job_id=f"segment-alias-{_digest(call, at)}",
                        )
                    )
                case SkippedRecord():
                    plan.skipped[content.kind] += 1
                case RejectedRecord():
                    plan.rejections.extend(
                        CallRejection(index=index, field=problem.field, reason=problem.reason)
                        for problem in content.problems
                    )
    return plan


def _add_user(
    plan: Plan, index: int, record: UserRecord, at: datetime, call: Mapping[str, Any], max_bulk_users: int
) -> None:
    last = plan.jobs[-1] if plan.jobs else None
    if not isinstance(last, IdentifyRun) or len(last.users) >= max_bulk_users:
        last = IdentifyRun()
        plan.jobs.append(last)
    last.users.append(dict(record.user))
    last.times.append(at)
    last.indexes.append(index)
    last.digest.update(_digest(call, at).encode())


def _plan_trigger(plan: Plan, index: int, call: Mapping[str, Any], at: datetime, registry: Registry) -> None:
    user_id, data = call.get("userId"), call.get("properties") or {}
    if not isinstance(user_id, str) or not user_id:
        plan.skipped["track without userId"] += 1
        return
    if not isinstance(data, Mapping):
        plan.rejections.append(CallRejection(index=index, field="properties", reason="must be an object"))
        return
    message_id = call.get("messageId")
    plan.jobs.append(
        PlannedTrigger(
            index=index,
            workflow=registry.events[call["event"]],
            user_id=user_id,
            data=data,
            occurred_at=at,
            message_id=message_id if isinstance(message_id, str) and message_id else None,
        )
    )


def _digest(call: Mapping[str, Any], at: datetime) -> str:
    """Names the call at its time. A call that is sent again has another time, as the correction of the clock differs:
    it is sent once more, which changes nothing.
    """
    return sha256(b"%d %b" % (microseconds(at), canonical_json(call))).hexdigest()[:40]
