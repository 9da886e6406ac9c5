"""One user: each value with the job that set it, preferences, channels, messages, activities, jobs, and its ids."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.responses import Response

from rollbook import DeliveryStatus, InvalidRequest, JobTimeout, Problem
from rollbook.models import Page
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.cluster_picture import cluster_picture
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.preference_matrix import matrices
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_shared.registry import Registry

_MESSAGES: Final = 20
_ACTIVITIES: Final = 10
_JOBS: Final = 20
_MAX_CURSOR: Final = 5_000
WAIT_SECONDS: Final = 3.0
"""How long an action waits for a worker, so that the page after it shows what it did."""


async def user_page(call: ConsoleCall) -> Response:
    """All that is known of a user, and why."""
    rb, user_id = call.rb, call.path["user_id"]
    explanation = await rb.users.explain(user_id)
    person = explanation.id
    after = call.text("messages", _MAX_CURSOR) or None
    messages = await rb.messages.list(person, limit=_MESSAGES, after=after)
    deliveries = await _deliveries(call, person, after) if messages.items else {}
    return call.render(
        "user.html",
        explanation=explanation,
        user=await rb.users.get(person) if explanation.exists else None,
        matrices=matrices(explanation.preferences, _registry(call)),
        messages=messages,
        deliveries=deliveries,
        received=await rb.activities.list(person, limit=_ACTIVITIES),
        caused=await rb.activities.list(person, limit=_ACTIVITIES, role="actor"),
        jobs=await rb.jobs.list(user_id=person, limit=_JOBS),
        picture=cluster_picture(explanation),
        workflows=_registry(call).workflows,
    )


async def _deliveries(call: ConsoleCall, user_id: str, after: str | None) -> dict[str, DeliveryStatus]:
    """The deliveries of the messages of a page, by message."""
    page: Page[DeliveryStatus] = await call.rb.deliveries.list(user_id=user_id, limit=_MESSAGES, after=after)
    return {each.id: each for each in page.items}


def _registry(call: ConsoleCall) -> Registry:
    return call.console.services.registry.current


async def delete_user(call: ConsoleCall) -> Response:
    """Delete a user."""
    user_id = call.path["user_id"]
    if call.field("confirm") != user_id:
        raise ConsoleError(400, "Not deleted", "Type the id of the user to confirm.")
    job = await call.rb.users.delete(user_id)
    call.audit.job_id = job.id
    return call.redirect("/users/{}", user_id, **await finished(job, "The user was deleted."))


async def export_user(call: ConsoleCall) -> Response:
    """Everything that is stored about a user, as a file."""
    user_id = call.path["user_id"]
    call.audit.reason = call.field("reason", 500) or None
    if call.audit.reason is None and not call.shows_personal_data:
        raise ConsoleError(403, "A reason is needed", "Personal data is masked for you: say why you need the export.")
    document = await call.rb.users.export(user_id)
    text = json.dumps(document, ensure_ascii=False, indent=2)
    headers = {"content-disposition": 'attachment; filename="export.json"', "cache-control": "no-store"}
    return Response(text, media_type="application/json", headers=headers)


async def send_test(call: ConsoleCall) -> Response:
    """Trigger a workflow for one user."""
    user_id, key = call.path["user_id"], call.field("workflow", 256)
    registry = _registry(call)
    workflow = registry.workflow(key)
    if workflow is None or not workflow.active:
        raise ConsoleError(400, "Not sent", "The registry has no such active workflow.")
    named = [channel for channel in call.field("channels").replace(",", " ").split() if channel]
    job = await call.rb.workflows.trigger(
        key,
        [user_id],
        data=_data(call.field("data", 100_000)),
        tenant=call.field("tenant", 256) or None,
        channels=named or registry.channel_types(workflow),
        categories=workflow.categories,
    )
    call.audit.job_id, call.audit.target = job.id, key
    return call.redirect("/users/{}", user_id, **await finished(job, f"The trigger was applied: job {job.id}."))


def _data(text: str) -> dict[str, Any]:
    """The data of a trigger as typed.

    Raises:
        InvalidRequest: it is no JSON object.
    """
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise InvalidRequest([Problem("data", "must be a JSON object")])
    return data


async def finished(job: Any, done: str) -> dict[str, str]:
    """What a page says after an action, once a worker has had a little time for its job."""
    try:
        status = await job.wait(WAIT_SECONDS)
    except JobTimeout:
        return {"flash": f"Sent; no worker has applied it yet: job {job.id}.", "level": "warning"}
    if status.state in ("applied", "duplicate"):
        return {"flash": done}
    return {"flash": f"The job is {status.state}: {job.id}.", "level": "problem"}


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/users/{user_id}", page=user_page, role=Role.READER, reveals=True),
    ConsoleRoute(
        method="POST", path="/users/{user_id}/delete", page=delete_user, role=Role.ADMIN, action="users.delete"
    ),
    ConsoleRoute(
        method="POST", path="/users/{user_id}/export", page=export_user, role=Role.OPERATOR, action="users.export"
    ),
    ConsoleRoute(
        method="POST", path="/users/{user_id}/test", page=send_test, role=Role.OPERATOR, action="workflows.trigger"
    ),
)
