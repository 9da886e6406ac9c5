"""Bulk jobs, and their progress as bulk operations.

The id of a bulk operation is its job's. It names the kind, the number of users and the time of the request, so that an
operation that no worker has seen yet can be described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

from rollbook.models import JobStatus
from rollbook_server.api.inline_traits import convert_users
from rollbook_server.api.preferences import PreferenceSettings, convert_settings
from rollbook_server.api.shapes import time_as_json
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import not_found
from rollbook_server.routes import ApiRoute
from rollbook_server.writes import SentWrite, write
from rollbook_shared.domain.stamps import datetime_of, microseconds
from rollbook_shared.job_states import JobState

_ID: Final = re.compile(r"(bulk_[a-z_]+):([0-9]{1,5}):([0-9]{1,16}):[0-9a-f]{32}")
_NAMES: Final = {
    "bulk_identify": "users.bulk.identify",
    "bulk_delete": "users.bulk.delete",
    "bulk_set_preferences": "users.bulk.set_preferences",
    "bulk_mark": "channels.messages.bulk",
}


class ErrorItem(TypedDict):
    """A user of the job that was rejected."""

    id: str
    collection: None
    index: int | None
    field: str
    reason: str


BulkOperationBody = TypedDict(
    "BulkOperationBody",
    {
        "__typename": Literal["BulkOperation"],
        "id": str,
        "name": str,
        "status": Literal["queued", "processing", "completed", "failed"],
        "estimated_total_rows": int,
        "processed_rows": int,
        "success_count": int,
        "error_count": int,
        "error_items": list[ErrorItem],
        "progress_path": str,
        "inserted_at": str,
        "updated_at": str,
        "started_at": NotRequired[str | None],
        "completed_at": NotRequired[str | None],
        "failed_at": NotRequired[str | None],
    },
)
"""The progress of a bulk job."""


class BulkIdentifyBody(TypedDict):
    """Users, each with its `id`."""

    users: list[dict[str, Any]]


class BulkDeleteBody(TypedDict):
    """The ids of the users to delete."""

    user_ids: list[str]


class BulkPreferencesBody(TypedDict):
    """Users, and the set that replaces theirs. Its `id` is the set's; by default `default`."""

    user_ids: list[str]
    preferences: PreferenceSettings


async def identify(call: Call) -> Answer:
    """Create or update many users in one job."""
    users = convert_users(call.body["users"], name="users")
    written = await write(
        call,
        lambda options: call.services.client.users.bulk_identify(users, **options),
        job_id=operation_id("bulk_identify", len(users)),
    )
    return operation_answer(written, [str(user.get("id")) for user in users])


async def delete(call: Call) -> Answer:
    """Delete many users in one job."""
    user_ids = call.body["user_ids"]
    written = await write(
        call,
        lambda options: call.services.client.users.bulk_delete(user_ids, **options),
        job_id=operation_id("bulk_delete", len(user_ids)),
    )
    return operation_answer(written, user_ids)


async def set_preferences(call: Call) -> Answer:
    """Replace a preference set of many users in one job."""
    user_ids, preferences = call.body["user_ids"], dict(call.body["preferences"])
    set_id = preferences.pop("id", None) or "default"
    settings, _ = convert_settings(preferences)
    written = await write(
        call,
        lambda options: call.services.client.users.bulk_set_preferences(user_ids, set_id, settings, **options),
        job_id=operation_id("bulk_set_preferences", len(user_ids)),
    )
    return operation_answer(written, user_ids)


async def get(call: Call) -> Answer:
    """Read the progress of a bulk operation."""
    operation = call.path["operation_id"]
    if _ID.fullmatch(operation) is None:
        raise not_found("there is no such bulk operation")
    return Answer(body=_as_json(operation, await call.services.client.jobs.get(operation), ()))


def operation_id(kind: str, users: int) -> Callable[[str | None, datetime], str]:
    """Makes the job's id of such an operation; see `rollbook_server.writes.write`."""

    def make(key: str | None, now: datetime) -> str:
        unique = token_hex(16) if key is None else sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{kind}:{min(users, 99_999)}:{microseconds(now)}:{unique}"

    return make


def operation_answer(written: SentWrite, user_ids: Sequence[str] = ()) -> Answer:
    """The operation of a bulk job that was just sent."""
    return written.answer(operation_as_json(written, user_ids))


def operation_as_json(written: SentWrite, user_ids: Sequence[str]) -> dict[str, Any]:
    """The operation as `BulkOperationBody`."""
    status = written.status or JobStatus(id=written.job_id, kind=None, state=JobState.QUEUED)
    return _as_json(written.job_id, status, user_ids)


def _as_json(operation: str, status: JobStatus, user_ids: Sequence[str]) -> dict[str, Any]:
    found = _ID.fullmatch(operation)
    assert found is not None
    kind, total, inserted = found[1], int(found[2]), time_as_json(datetime_of(int(found[3])))
    is_done = status.state == "applied"
    has_failed = status.state in ("rejected", "dead", "cancelled")
    finished = None if status.finished_at is None else time_as_json(status.finished_at)
    rejected = total if has_failed else len(status.rejected)
    succeeded = total - rejected if is_done else 0
    return {
        "__typename": "BulkOperation",
        "id": operation,
        "name": _NAMES.get(kind, kind),
        "status": "completed" if is_done else "failed" if has_failed else "queued",
        "estimated_total_rows": total,
        "processed_rows": total if is_done or has_failed else 0,
        "success_count": succeeded,
        "error_count": rejected if is_done or has_failed else 0,
        "error_items": [
            {
                "id": user_ids[item.index] if item.index is not None and item.index < len(user_ids) else "",
                "collection": None,
                "index": item.index,
                "field": item.field,
                "reason": item.reason,
            }
            for item in status.rejected
        ],
        "progress_path": f"/v1/bulk_operations/{operation}",
        "inserted_at": inserted,
        "updated_at": finished or inserted,
        "started_at": finished,
        "completed_at": finished if is_done else None,
        "failed_at": finished if has_failed else None,
    }


ENDPOINTS: Final = (
    ApiRoute(
        method="POST",
        path="/v1/users/bulk/identify",
        handler=identify,
        body=BulkIdentifyBody,
        answer=BulkOperationBody,
        writes=True,
        tag="Bulk operations",
    ),
    ApiRoute(
        method="POST",
        path="/v1/users/bulk/delete",
        handler=delete,
        body=BulkDeleteBody,
        answer=BulkOperationBody,
        writes=True,
        tag="Bulk operations",
    ),
    ApiRoute(
        method="POST",
        path="/v1/users/bulk/preferences",
        handler=set_preferences,
        body=BulkPreferencesBody,
        answer=BulkOperationBody,
        writes=True,
        tag="Bulk operations",
    ),
    ApiRoute(
        method="GET",
        path="/v1/bulk_operations/{operation_id}",
        handler=get,
        answer=BulkOperationBody,
        tag="Bulk operations",
    ),
)
