"""Deliveries: those of a user or in a state, one of them, and trying it again or cancelling it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from rollbook.models import DeliveryState
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.pages.jobs import MAX_CURSOR
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute

PAGE_DELIVERIES: Final = 50
STATES: Final = tuple(map(str, DeliveryState))
WAITING: Final = frozenset({DeliveryState.PENDING, DeliveryState.FAILED})
"""States in which a delivery can be cancelled."""
OVER: Final = frozenset(
    {DeliveryState.FAILED, DeliveryState.UNDELIVERABLE, DeliveryState.SKIPPED, DeliveryState.CANCELLED}
)
"""States from which a delivery can be tried again."""


async def deliveries_page(call: ConsoleCall) -> Response:
    """A page of deliveries. Without a user those that were given up, the last first."""
    user_id, state = call.text("user_id", 256) or None, call.text("state", 40) or None
    if state is not None and state not in STATES:
        raise ConsoleError(400, "Not valid", "There is no such state.")
    if user_id is None and state is None:
        state = DeliveryState.UNDELIVERABLE.value
    channel = call.text("channel", 256) or None
    page = await call.rb.deliveries.list(
        user_id=user_id,
        state=state,
        channel=channel,
        limit=PAGE_DELIVERIES,
        after=call.text("after", MAX_CURSOR) or None,
    )
    query = {"user_id": user_id, "state": state, "channel": channel}
    return call.render("deliveries.html", page=page, query=query, states=STATES)


async def delivery_page(call: ConsoleCall) -> Response:
    """One delivery."""
    delivery = await call.rb.deliveries.get(call.path["delivery_id"])
    may_act = call.may(Role.OPERATOR)
    return call.render(
        "delivery.html",
        each=delivery,
        may_retry=may_act and delivery.state in OVER,
        may_cancel=may_act and delivery.state in WAITING,
    )


async def retry(call: ConsoleCall) -> Response:
    """Let a delivery be claimed again."""
    return await _change(call, await call.rb.deliveries.retry(call.path["delivery_id"]), "The delivery is due again.")


async def cancel(call: ConsoleCall) -> Response:
    """Cancel a delivery that waits."""
    return await _change(call, await call.rb.deliveries.cancel(call.path["delivery_id"]), "The delivery is cancelled.")


async def _change(call: ConsoleCall, is_changed: bool, said: str) -> Response:
    delivery_id = call.path["delivery_id"]
    call.audit.target = f"delivery {delivery_id}"
    if is_changed:
        return call.redirect("/deliveries/{}", delivery_id, flash=said)
    await call.rb.deliveries.get(delivery_id)  # or it is not found
    flash = "Nothing was changed: a sender has the delivery, or its state does not permit this any more."
    return call.redirect("/deliveries/{}", delivery_id, flash=flash, level="warning")


_ONE: Final = "/deliveries/{delivery_id}"
ROUTES: Final = (
    ConsoleRoute(method="GET", path="/deliveries", page=deliveries_page, role=Role.READER, menu="Deliveries"),
    ConsoleRoute(method="GET", path=_ONE, page=delivery_page, role=Role.READER),
    ConsoleRoute(method="POST", path=f"{_ONE}/retry", page=retry, role=Role.OPERATOR, action="deliveries.retry"),
    ConsoleRoute(method="POST", path=f"{_ONE}/cancel", page=cancel, role=Role.OPERATOR, action="deliveries.cancel"),
)
