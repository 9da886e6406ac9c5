"""Jobs: what has become of a write that was answered with 202; recent and deferred jobs."""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict

from rollbook_server.api.paging import LIST_PARAMETERS, list_limit
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.routes import ApiRoute, Parameter


class RejectedItemBody(TypedDict):
    """A user of a bulk job that the worker rejected."""

    index: int | None
    field: str
    reason: str
    code: str


class JobBody(TypedDict):
    """The status of a job."""

    id: str
    kind: str | None
    state: str
    code: str | None
    reason: str | None
    effect: str | None
    applied: int | None
    rejected: list[RejectedItemBody]
    skipped: list[str]
    duplicates: int
    finished_at: str | None
    trace_id: str | None
    due_at: str | None


class JobsAnswer(TypedDict):
    """A page of jobs; `after` leads to the next one."""

    items: list[JobBody]
    after: str | None


class DeferredJobBody(TypedDict):
    """A job that takes effect later."""

    id: str
    kind: str
    due_at: str


class DeferredJobsAnswer(TypedDict):
    """A page of deferred jobs; `after` leads to the next one."""

    items: list[DeferredJobBody]
    after: str | None


class CancelledAnswer(TypedDict):
    """Whether the job is cancelled; false: it has taken effect, or there is none."""

    cancelled: bool


async def list_jobs(call: Call) -> Answer:
    """List the recent jobs that workers have received, the newest first.

    `state` is `applied`, `rejected`, `deferred`, `cancelled` or `dead`. A page may have fewer items than `limit`; go on
    while `after` is not null.
    """
    filters: dict[str, Any] = {name: call.query.text(name) for name in ("state", "kind", "user_id", "after")}
    page = await call.services.client.jobs.list(
        since=call.query.time("since"),
        until=call.query.time("until"),
        limit=list_limit(call),
        **filters,
    )
    return Answer(body={"items": [each.as_dict() for each in page.items], "after": page.after})


async def list_deferred(call: Call) -> Answer:
    """List the deferred jobs, the first due first."""
    page = await call.services.client.jobs.list_deferred(limit=list_limit(call), after=call.query.text("after"))
    return Answer(body={"items": [each.as_dict() for each in page.items], "after": page.after})


async def cancel(call: Call) -> Answer:
    """Cancel a deferred job, so that it never takes effect. Cancelling again is safe."""
    return Answer(body={"cancelled": await call.services.client.jobs.cancel(call.path["job_id"])})


async def get(call: Call) -> Answer:
    """Read the status of a job.

    A job that no worker has seen yet is `queued`; so is an id that was never sent.
    """
    return Answer(body=(await call.services.client.jobs.get(call.path["job_id"])).as_dict())


_TEXT: Final = {"type": "string"}
_FILTERS: Final = (
    Parameter("state", "Only jobs in this state.", _TEXT),
    Parameter("kind", "Only jobs of this kind.", _TEXT),
    Parameter("user_id", "Only jobs that say something of this user.", _TEXT),
    Parameter("since", "Only jobs from this time on (ISO 8601 with its offset).", _TEXT),
    Parameter("until", "Only jobs up to this time.", _TEXT),
)
ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/jobs",
        handler=list_jobs,
        answer=JobsAnswer,
        query=(*_FILTERS, *LIST_PARAMETERS),
        tag="Jobs",
    ),
    ApiRoute(
        method="GET",
        path="/v1/deferred_jobs",
        handler=list_deferred,
        answer=DeferredJobsAnswer,
        query=LIST_PARAMETERS,
        tag="Jobs",
    ),
    ApiRoute(method="GET", path="/v1/jobs/{job_id}", handler=get, answer=JobBody, tag="Jobs"),
    ApiRoute(method="POST", path="/v1/jobs/{job_id}/cancel", handler=cancel, answer=CancelledAnswer, tag="Jobs"),
)
