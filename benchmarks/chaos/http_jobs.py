"""Jobs as requests to the HTTP server: which can be, and how a request is made of one.

A job that is sent over HTTP has the id that the server makes of the idempotency key. So it is sent over HTTP only, and
the producer records it with the id of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rollbook_ops.demo.api_calls import user_mapping
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.jobs.models import BulkIdentify, Delete, Identify, Job, Merge, Trigger, UserUpdate


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request of the HTTP API."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str]


def as_http_job(job: Job) -> Job | None:
    """The job as the HTTP API can say it; None if it cannot."""
    if job.deferred or not isinstance(job, Identify | BulkIdentify | Delete | Merge | Trigger):
        return None
    # in the API's words they are called otherwise, so the job would be another one
    if any(user.preferences or user.channel_data for user in _users_of(job)):
        return None
    # the registry names no workflows: the server's triggers are on this channel, and have no categories
    return job.model_copy(update={"channels": ("in_app",), "categories": ()}) if isinstance(job, Trigger) else job


def request_of(job: Job, *, waits: bool) -> Request:
    """The request that sends the job.

    waits: it is answered when a worker has applied the job; otherwise when Redis has it.
    """
    headers = {
        "idempotency-key": job.id,
        "rollbook-occurred-at": datetime_of(job.occurred_at).isoformat(),
        **({} if waits else {"prefer": "respond-async"}),
    }
    match job:
        case Identify(user=user):
            traits = user_mapping(user)
            return Request(method="PUT", path=_user_path(traits.pop("id")), body=traits, headers=headers)
        case BulkIdentify():
            users = [user_mapping(user) for user in _users_of(job)]
            return Request(method="POST", path="/v1/users/bulk/identify", body={"users": users}, headers=headers)
        case Delete():
            return Request(method="DELETE", path=_user_path(job.user_id), headers=headers)
        case Merge():
            body = {
                "from_user_id": job.secondary_id,
                "keep_opt_outs": job.keep_opt_outs,
                "merge_tokens": job.merge_tokens,
            }
            return Request(method="POST", path=f"{_user_path(job.primary_id)}/merge", body=body, headers=headers)
        case Trigger():
            body = {
                "recipients": [_person(recipient) for recipient in job.recipients],
                "actor": None if job.actor is None else _person(job.actor),
                "data": job.data,
                "tenant": job.tenant,
            }
            path = f"/v1/workflows/{quote(job.workflow, safe='')}/trigger"
            return Request(method="POST", path=path, body=body, headers=headers)
    raise NotImplementedError(f"the HTTP API has no call for {job.kind}")


def _users_of(job: Job) -> list[UserUpdate]:
    match job:
        case Identify(user=user):
            return [user]
        case BulkIdentify(users=users):
            return [user for user in users if isinstance(user, UserUpdate)]
        case Trigger(recipients=recipients, actor=actor):
            return [user for user in (*recipients, actor) if isinstance(user, UserUpdate)]
        case _:
            return []


def _user_path(user_id: str) -> str:
    return f"/v1/users/{quote(user_id, safe='')}"


def _person(user: str | UserUpdate) -> str | dict[str, Any]:
    return user_mapping(user) if isinstance(user, UserUpdate) else user
