"""Turns a dead letter into the job that is sent in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rollbook.commands.edited_job import check_as_new
from rollbook_shared.errors import InvalidRequest, Problem, Undecodable
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs import BulkIdentify, Job
from rollbook_shared.jobs.codec import VERSION, decode, encode

if TYPE_CHECKING:
    from rollbook.models import DeadLetter
    from rollbook_shared.limits import Limits


def replay(
    dead_letter: DeadLetter, *, job_id: str | None, body: str | Mapping[str, Any] | None, limits: Limits, now: int
) -> Job:
    """The job to send. One with a new body is checked as a new job is.

    Raises:
        InvalidRequest: the job would only become a dead letter again: the body is no job, or its id is taken. Or the
            new body breaks a rule.
    """
    job = _job(_text(dead_letter, body))
    if job_id is not None:
        job = job.model_copy(update={"id": job_id})
    if body is not None:
        check_as_new(job, limits=limits, now=now)
    if dead_letter.code == DeadLetterCode.ID_REUSED and job.id == dead_letter.id:
        raise InvalidRequest([Problem("job_id", "this job id is already used by another job; pass a new job_id")])
    return job


def _text(dead_letter: DeadLetter, body: str | Mapping[str, Any] | None) -> str:
    if body is None:
        return dead_letter.body or ""
    if isinstance(body, str):
        return _with_version(body)
    try:
        return json.dumps({"v": VERSION, **body})
    except (TypeError, ValueError):
        raise InvalidRequest([Problem("body", "must be a job as JSON")]) from None


def _with_version(text: str) -> str:
    """The text with the version, if it is an object without one. The codec refuses what is no object."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return json.dumps({"v": VERSION, **body}) if isinstance(body, dict) and "v" not in body else text


def _job(text: str) -> Job:
    try:
        job = decode(text)
    except Undecodable as error:
        raise InvalidRequest([Problem("body", f"is no job that can be applied ({error.reason}); correct it")]) from None
    rejected = job.problems if isinstance(job, BulkIdentify) else []
    if rejected:
        raise InvalidRequest([Problem(f"body.{problem.field}", problem.reason, problem.index) for problem in rejected])
    return decode(encode(job))
