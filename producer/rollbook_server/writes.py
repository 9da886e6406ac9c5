"""Writes: sends the job of a request, waits for a worker for a short while, and says what has become of it.

An answer of 200 holds what is stored. One of 202 holds what was sent, and the header `Rollbook-Job-Id` names the job.
With `Prefer: respond-async` a write does not wait.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from rollbook import commands
from rollbook.errors import InvalidRequest, JobTimeout, NotConfigured, Problem, Unavailable
from rollbook.models import JobStatus
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import ApiError, invalid
from rollbook_server.http.times import parse_time
from rollbook_server.idempotency import WriteRecord
from rollbook_shared.domain.stamps import JOB_ID, microseconds, new_job_id

JOB_HEADER: Final = "rollbook-job-id"
OCCURRED_AT_HEADER: Final = "rollbook-occurred-at"
RUN_AT_HEADER: Final = "rollbook-run-at"
REPLAY_HEADER: Final = "idempotent-replayed"
_KEY_HEADER: Final = "idempotency-key"
_RESPOND_ASYNC: Final = re.compile(r"(?:^|[,;])\s*respond-async\s*(?:$|[,;])", re.IGNORECASE)
_NAMESPACE: Final = uuid.UUID("6f0f3c1e-8a3b-5c52-9d3c-0f5f0f6b7a11")


class Handle(Protocol):
    """A job that was sent."""

    @property
    def id(self) -> str:
        """The job's id."""

    async def wait(self, timeout: float = 5.0) -> JobStatus:
        """The job's final status."""


Send = Callable[[commands.WriteOptions], Awaitable[Handle]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SentWrite:
    """A write that the broker has."""

    job_id: str
    occurred_at: datetime
    is_replay: bool
    status: JobStatus | None
    """None: no worker has finished the job yet."""

    @property
    def is_applied(self) -> bool:
        """Whether reads show it."""
        return self.status is not None and self.status.state == "applied"

    def answer(self, body: Any) -> Answer:
        """200 or 202 with this body."""
        return Answer(body=body, status=200 if self.is_applied else 202, headers=self.headers())

    def empty_answer(self) -> Answer:
        """204: the call has no body, whether it is applied or not."""
        return Answer(status=204, headers=self.headers())

    def headers(self) -> dict[str, str]:
        """The job's id, and whether the request was made before."""
        headers = {JOB_HEADER: self.job_id}
        if self.is_replay:
            headers[REPLAY_HEADER] = "true"
        return headers


async def write(
    call: Call, send: Send, *, job_id: Callable[[str | None, datetime], str] | None = None, part: str = ""
) -> SentWrite:
    """Send the job, and wait for it.

    send: sends it with these options, as a method of the client does.
    job_id: makes the job's id of the idempotency key and the time; by default an id made of the key.
    part: which of several jobs of the request this is.

    Raises:
        ApiError: 422, the request is invalid, or a worker rejected the job; 503, the broker did not take it.
    """
    key = call.headers.get(_KEY_HEADER)
    route = f"{call.route} {part}".rstrip()
    make_id = job_id or _job_id
    run_at = parse_time(RUN_AT_HEADER, call.headers.get(RUN_AT_HEADER))
    occurred_at = parse_time(OCCURRED_AT_HEADER, call.headers.get(OCCURRED_AT_HEADER))
    if run_at is not None and occurred_at is not None:
        raise invalid([Problem(RUN_AT_HEADER, f"cannot be given together with {OCCURRED_AT_HEADER}")])

    def new() -> WriteRecord:
        now = datetime.now(UTC)
        return WriteRecord(job_id=make_id(None if key is None else f"{route}\n{key}", now), occurred_at=now)

    record = new() if key is None else await call.services.records.begin(key, route, call.fingerprint, new)
    options: commands.WriteOptions = {"job_id": record.job_id}
    if run_at is not None:
        options["run_at"] = run_at
    else:
        options["occurred_at"] = occurred_at or record.occurred_at
    try:
        handle = await send(options)
    except InvalidRequest:
        if key is not None and not record.is_replay:
            await call.services.records.forget(key, route)
        raise
    status = None if run_at is not None else await _finished(call, handle)
    if status is not None and status.state in ("rejected", "dead"):
        message = f"the job was not applied: {status.reason}"
        code = status.code or "rejected"
        raise ApiError(422, code, message, headers={JOB_HEADER: record.job_id, "x-should-retry": "false"})
    return SentWrite(
        job_id=record.job_id,
        occurred_at=occurred_at or record.occurred_at,
        is_replay=record.is_replay,
        status=status,
    )


def uuid_job_id(key: str | None, now: datetime) -> str:
    """A UUID as the job's id, for calls whose answer must hold one."""
    return str(uuid.uuid4() if key is None else uuid.uuid5(_NAMESPACE, key))


async def _finished(call: Call, handle: Handle) -> JobStatus | None:
    wait = call.services.settings.wait.total_seconds()
    if wait <= 0 or _RESPOND_ASYNC.search(call.headers.get("prefer", "")):
        return None
    try:
        status = await handle.wait(wait)
    except (JobTimeout, Unavailable, NotConfigured):
        return None  # the broker has the job, and nothing is lost
    return None if status.state == "deferred" else status


def _job_id(key: str | None, now: datetime) -> str:
    if key is None:
        return new_job_id(microseconds(now))
    given = key.partition("\n")[2]
    prefix = sha256(key.partition("\n")[0].encode()).hexdigest()[:8]
    own = f"{prefix}.{given}"
    return own if JOB_ID.fullmatch(own) else f"{prefix}.{sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()}"
