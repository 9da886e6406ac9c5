"""Templates: which there are, and one as it would be rendered for a user now. Nothing is sent.

HTML is shown as its source, and beside it as mail programs show it, in a frame with a policy of its own. For a masked
account that has had the page revealed the address of the frame has a token, which holds for two minutes at most.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from starlette.responses import HTMLResponse, Response

from rollbook.errors import UserNotFound
from rollbook.models import Content, Delivery
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.csrf import reveal_token
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.headers import FRAME_HEADERS, NOT_KEPT
from rollbook_server.console.rendering import with_query
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.console.tools import PreviewFailed, TemplatePreviews
from rollbook_shared.json_values import find_value_problem, parse_object

_MAX_DATA: Final = 50_000
_RENDERED: Final = "/templates/rendered"


async def templates_page(call: ConsoleCall) -> Response:
    """The names of the templates, and a preview of what the query string asks for."""
    previews, values = call.console.tools.templates, _values(call)
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
        frame=_frame(call, values) if content is not None and content.html is not None else None,
        problem=problem,
    )


async def rendered_page(call: ConsoleCall) -> Response:
    """The HTML of a message alone, for the frame."""
    previews, values = call.console.tools.templates, _values(call)
    if not call.shows_personal_data and not _is_revealed(call, values):
        raise ConsoleError(403, "Not permitted", "Personal data is masked for you.")
    try:
        content = None if previews is None else await _rendered(call, previews, values)
    except PreviewFailed as error:
        raise ConsoleError(404, "Not found", str(error)) from None
    if content is None or content.html is None:
        raise ConsoleError(404, "Not found", "There is no HTML of this message.")
    return HTMLResponse(content.html, headers={**FRAME_HEADERS, **NOT_KEPT})


def _values(call: ConsoleCall) -> dict[str, str]:
    texts = {name: call.text(name, 256) for name in ("user_id", "actor", "workflow", "channel", "tenant")}
    return {**texts, "data": call.text("data", _MAX_DATA) or "{}"}


def _frame(call: ConsoleCall, values: dict[str, str]) -> str | None:
    """The address of the frame; None: the account may not see it."""
    if not call.shows_personal_data:
        return None
    return with_query(_RENDERED, values, token=_token(call, values, _minute()) if call.is_revealed else None)


def _is_revealed(call: ConsoleCall, values: dict[str, str]) -> bool:
    given = call.text("token", 128).encode()
    minute = _minute()
    return any(hmac.compare_digest(given, _token(call, values, each).encode()) for each in (minute, minute - 1))


def _token(call: ConsoleCall, values: dict[str, str], minute: int) -> str:
    assert call.account is not None
    return reveal_token(call.secret, call.account.name, with_query(_RENDERED, values), minute)


def _minute() -> int:
    return int(time.time()) // 60


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
    ConsoleRoute(method="GET", path=_RENDERED, page=rendered_page, role=Role.READER),
    ConsoleRoute(
        method="GET", path="/templates", page=templates_page, role=Role.READER, menu="Templates", reveals=True
    ),
)
