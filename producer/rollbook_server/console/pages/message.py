"""One message: whose it is and why, which settings let it through or stopped it, and what became of its delivery."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from rollbook import InvalidRequest
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_shared.domain.deterministic_ids import message_id


async def message_page(call: ConsoleCall) -> Response:
    """A message, also one that preferences stopped."""
    id_ = call.path["message_id"]
    try:
        explanation = await call.rb.messages.explain(id_)
    except InvalidRequest:
        explanation = None
    if explanation is None:
        raise ConsoleError(404, "Not found", "There is no such message.")
    message = await call.rb.messages.get(id_)
    actor = None if message is None or message.actor is None else message.actor.id
    if call.is_revealed:
        call.audit.name_users(filter(None, [explanation.owner, actor]))
    contents = {} if message is None else await call.console.services.contents.of([message])
    return call.render("message.html", explanation=explanation, message=message, content=contents.get(explanation.id))


async def message_of_trigger(call: ConsoleCall) -> Response:
    """Find the message that a trigger made for one recipient; where it made none, say what its job says."""
    job_id, user_id = call.text("job_id", 128), call.text("user_id", 256)
    channel = call.text("channel", 100) or "in_app"
    if not job_id or not user_id:
        raise ConsoleError(400, "Not valid", "Give the id of the trigger's job and that of the recipient.")
    if await call.rb.messages.explain_recipient(job_id, user_id, channel=channel) is not None:
        return call.redirect("/messages/{}", str(message_id(job_id, user_id, channel)))
    status = await call.rb.jobs.get(job_id)
    return call.render("no_message.html", job=status, job_id=job_id, user_id=user_id, channel=channel)


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/messages", page=message_of_trigger, role=Role.READER),
    ConsoleRoute(method="GET", path="/messages/{message_id}", page=message_page, role=Role.READER, reveals=True),
)
