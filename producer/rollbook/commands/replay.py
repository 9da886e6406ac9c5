"""From a dead letter to the job that is sent in its place, or to what keeps it from being applied again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rollbook.models import DeadLetter
from rollbook.queries.validation import checked_job_id
from rollbook_shared.errors import InvalidRequest, Problem, Undecodable
from rollbook_shared.jobs.codec import VERSION, decode, encode
from rollbook_shared.jobs.models import BulkIdentify, Job


def replayed(letter: DeadLetter, *, job_id: str | None, body: str | Mapping[str, Any] | None) -> Job:
    """The job to send.

    Raises:
        InvalidRequest: it would only die again: the body is no job, or the job needs an id of its own.
    """
    job = _job(_text(letter, body))
    if job_id is not None:
        job = job.model_copy(update={"id": checked_job_id(job_id)})
    if letter.code == "id_reused" and job.id == letter.id:
        raise InvalidRequest([Problem("job_id", "another job stands under this id; give this one an id of its own")])
    return job


def _text(letter: DeadLetter, body: str | Mapping[str, Any] | None) -> str:
    if body is None:
        return letter.body or ""
    if isinstance(body, str):
        return _versioned(body)
    try:
        return json.dumps({"v": VERSION, **body})
    except (TypeError, ValueError):
        raise InvalidRequest([Problem("body", "must be a job as JSON")]) from None


def _versioned(text: str) -> str:
    """The text with the version that people leave out, as in a mapping; what is no object is left to the codec."""
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
    rejected = [user for user in job.users if isinstance(user, Problem)] if isinstance(job, BulkIdentify) else []
    if rejected:
        raise InvalidRequest([Problem(f"body.{problem.field}", problem.reason, problem.index) for problem in rejected])
    return decode(encode(job))
