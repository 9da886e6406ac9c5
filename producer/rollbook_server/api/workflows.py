"""Workflows: trigger them, and cancel triggers that are deferred."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from rollbook_server.api.inline_traits import convert_traits, convert_users
from rollbook_server.call import Call
from rollbook_server.http.answers import NO_CONTENT, Answer
from rollbook_server.http.errors import ApiError, invalid
from rollbook_server.routes import ApiRoute
from rollbook_server.writes import RUN_AT_HEADER, uuid_job_id, write
from rollbook_shared.errors import Problem
from rollbook_shared.registry import Workflow

_CANCELLATIONS: Final = uuid.UUID("a6e2b7ac-57b0-5d6b-9c0f-7c3d1b1f9d55")


class TriggerBody(TypedDict):
    """What happened, and for whom. A recipient is a user's id, or an object with the `id` and traits of a user."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    recipients: list[str | dict[str, Any]]
    actor: NotRequired[str | dict[str, Any] | None]
    data: NotRequired[dict[str, Any] | None]
    tenant: NotRequired[str | dict[str, Any] | None]
    cancellation_key: NotRequired[str | None]


class TriggerAnswer(TypedDict):
    """The id of the trigger's job."""

    workflow_run_id: str
    skipped: NotRequired[list[str]]


class CancelBody(TypedDict):
    """Which trigger to cancel."""

    cancellation_key: str
    recipients: NotRequired[list[str | dict[str, Any]] | None]


async def trigger(call: Call) -> Answer:
    """Trigger a workflow: one message for each recipient and channel of it.

    Recipients given as ids are skipped if no user has them; the answer lists these.
    """
    body, workflow = call.body, _workflow(call)
    recipients = [_recipient(item, f"recipients[{index}]") for index, item in enumerate(body["recipients"])]
    recipients = convert_users(recipients, name="recipients")
    actor = None if body.get("actor") is None else _recipient(body["actor"], "actor")
    actor = convert_traits(actor) if isinstance(actor, Mapping) else actor
    tenant = _tenant(body.get("tenant"))
    registry = call.services.registry.current
    written = await write(
        call,
        lambda options: call.services.client.workflows.trigger(
            workflow.key,
            recipients,
            actor=actor,
            data=body.get("data"),
            tenant=tenant,
            channels=registry.channel_types(workflow),
            categories=workflow.categories,
            **options,
        ),
        job_id=_run_id(call, workflow.key),
    )
    answer: dict[str, Any] = {"workflow_run_id": written.job_id}
    if written.status is not None and written.status.skipped:
        answer["skipped"] = list(written.status.skipped)
    return written.answer(answer)


async def cancel(call: Call) -> Answer:
    """Cancel a deferred trigger by its cancellation key.

    A trigger that took effect cannot be taken back; then nothing changes. Single recipients cannot be taken out.
    """
    if call.body.get("recipients"):
        message = "a trigger is cancelled for all of its recipients, or not"
        raise invalid([Problem("recipients", message)])
    await call.services.client.jobs.cancel(_cancellable_id(call.path["key"], call.body["cancellation_key"]))
    return NO_CONTENT


def _workflow(call: Call) -> Workflow:
    workflow = call.services.registry.current.workflow(call.path["key"])
    if workflow is None:
        raise ApiError(404, "workflow_missing", "the registry has no such workflow")
    if not workflow.active:
        raise ApiError(422, "workflow_inactive", "the workflow is not active", headers={"x-should-retry": "false"})
    return workflow


def _run_id(call: Call, workflow: str) -> Callable[[str | None, datetime], str]:
    """The id of the job. That of a deferred trigger is made of its cancellation key, so that `cancel` finds the job;
    another cannot be cancelled.
    """
    cancellation_key = call.body.get("cancellation_key")
    if cancellation_key is None or RUN_AT_HEADER not in call.headers:
        return uuid_job_id
    return lambda key, now: _cancellable_id(workflow, cancellation_key)


def _cancellable_id(workflow: str, cancellation_key: str) -> str:
    return str(uuid.uuid5(_CANCELLATIONS, f"{workflow}\n{cancellation_key}"))


def _recipient(value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and "collection" in value:
        raise invalid([Problem(where, "is an object of a collection; Rollbook knows users only")])
    return value


def _tenant(value: Any) -> str | None:
    """The tenant's id. Of a tenant given as an object the rest is not kept."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value.get("id"), str):
        return str(value["id"])
    raise invalid([Problem("tenant.id", "must be text")])


ENDPOINTS: Final = (
    ApiRoute(
        method="POST",
        path="/v1/workflows/{key}/trigger",
        handler=trigger,
        body=TriggerBody,
        answer=TriggerAnswer,
        writes=True,
        tag="Workflows",
    ),
    ApiRoute(method="POST", path="/v1/workflows/{key}/cancel", handler=cancel, body=CancelBody, tag="Workflows"),
)
