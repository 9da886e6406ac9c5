"""Deliveries to send, and senders of a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Result
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.registry import Channel, DeliveryMethod

ID = "5b0c3f0e-6a1d-5b7e-8f43-2b1d1c0f7a99"
CONTENT = Content(subject="Bo answered you", text="Hello Ann,\nBo answered you.", html="<p>Bo answered you.</p>")


def delivery(**changes: Any) -> Delivery:
    """A delivery to Ann."""
    ann = {"id": "ann", "name": "Ann Example", "email": "ann@example.com", "properties": {"plan": "pro"}}
    now = datetime.now(UTC)
    made = Delivery(
        id=ID,
        channel="mail",
        type="email",
        workflow="comment",
        categories=("social",),
        data={"text": "Hi"},
        occurred_at=now,
        recipient=ann,
        address="ann@example.com",
        lease_ends_at=now + timedelta(seconds=60),
    )
    return replace(made, **changes)


def channel(method: DeliveryMethod, options: dict[str, Any], *, key: str = "mail", type: str = "email") -> Channel:
    """A channel that is delivered with these options."""
    return Channel(key=key, type=type, delivery=method, options=options)


def run(sender: Sender, work: Callable[[Sender], Awaitable[Any]]) -> Any:
    """What `work` gives in an event loop of its own; the sender is prepared before and closed afterwards."""

    async def prepared() -> Any:
        try:
            await sender.prepare()
            return await work(sender)
        finally:
            await sender.aclose()

    return asyncio.run(prepared())


def send(sender: Sender, *deliveries: Delivery, content: Content | None = CONTENT) -> list[Result]:
    """What the sender says about each, one after the other; of none: about the one to Ann."""

    async def work(sender: Sender) -> list[Result]:
        return [await sender.send(each, content) for each in deliveries or (delivery(),)]

    found: list[Result] = run(sender, work)
    return found
