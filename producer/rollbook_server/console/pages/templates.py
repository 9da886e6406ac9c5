"""Templates: which there are, and one as it would be rendered for a user now. Nothing is sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from rollbook.errors import UserNotFound
from rollbook.models import Content, Delivery
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.console.tools import PreviewFailed, TemplatePreviews
from rollbook_shared.json_values import find_value_problem, parse_object

_MAX_DATA: Final = 50_000


async def templates_page(call: ConsoleCall) -> Response:
    """The names of the templates, and a preview of what the query string asks for."""
    previews = call.console.tools.templates
    values = {
        "user_id": call.text("user_id", 256),
        "actor": call.text("actor", 256),
        "workflow": call.text("workflow", 256),
        "channel": call.text("channel", 256),
        "tenant": call.text("tenant", 256),
        "data": call.text("data", _MAX_DATA) or "{}",
    }
    content: Content | None = None
    problem = ""
    if previews is not None and values["user_id"] and values["workflow"] and values["channel"]:
        try:
            content = await _rendered(call, previews, values)
        except (PreviewFailed, UserNotFound, ConsoleError) as error:
            problem = str(error)
    return call.render(
        "templates.html",
        is_set_up=previews is not None,
        names=() if previews is None else await asyncio.to_thread(previews.names),
        values=values,
        content=content,
        problem=problem,
    )


async def _rendered(call: ConsoleCall, previews: TemplatePreviews, values: dict[str, str]) -> Content:
    registry = call.console.services.registry.current
    channel = registry.channels.get(values["channel"]) or registry.channel_of_type(values["channel"])
    workflow = registry.workflow(values["workflow"])
    now = datetime.now(UTC)
    delivery = Delivery(
        id=str(uuid4()),
        channel=channel.key,
        type=channel.type,
        provider=channel.provider,
        workflow=values["workflow"],
        tenant=values["tenant"] or None,
        categories=workflow.categories if workflow else (),
        data=_object(values["data"]),
        occurred_at=now,
        recipient=await _user(call, values["user_id"]),
        actor=await _user(call, values["actor"]) if values["actor"] else None,
        lease_ends_at=now,
    )
    # in a thread: a template may take as long as its bounds permit
    return await asyncio.to_thread(previews.render, delivery)


async def _user(call: ConsoleCall, user_id: str) -> dict[str, Any]:
    if call.is_revealed:
        call.audit.name_users([user_id])
    user = await call.rb.users.get(user_id)
    return {name: value for name, value in user.as_dict().items() if value is not None}


def _object(text: str) -> dict[str, Any]:
    if (value := parse_object(text)) is None:
        raise ConsoleError(400, "Not valid", "The data must be a JSON object.")
    if problem := find_value_problem(value, "data"):
        raise ConsoleError(400, "Not valid", f"{problem[0]}: {problem[1]}")
    return value


ROUTES: Final = (
    ConsoleRoute(
        method="GET", path="/templates", page=templates_page, role=Role.READER, menu="Templates", reveals=True
    ),
)
