"""Deliveries, as a claim and reads return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from rollbook.models.model import Model


class DeliveryState(StrEnum):
    """What became of a delivery so far (rule 38). The last five are final; but `sent` may still become `delivered`, and
    what was skipped for want of an address becomes `pending` if the address comes before the message is too old.
    """

    PENDING = "pending"
    """No sender has claimed it, or the one that did released it."""
    CLAIMED = "claimed"
    """A sender has it until its lease ends."""
    FAILED = "failed"
    """An attempt failed; it will be tried again."""
    SENT = "sent"
    """A sender handed it over."""
    DELIVERED = "delivered"
    """The recipient's provider or device has it, as its sender reported."""
    UNDELIVERABLE = "undeliverable"
    """Given up, for a reason."""
    SKIPPED = "skipped"
    """Not sent, for a reason: opted out, no address, deleted, seen already, too old."""
    CANCELLED = "cancelled"
    """Taken back before it was sent."""


DeliveryOutcome = Literal["sent", "delivered", "failed", "release"]
"""What a sender reports of a delivery. `release`: it was not tried, and another sender may claim it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content(Model):
    """A rendered message. Which parts it has depends on its channel's template."""

    subject: str | None = None
    """Of an e-mail."""
    title: str | None = None
    """Of a push or in-app message."""
    text: str | None = None
    """Plain text."""
    html: str | None = None
    """HTML."""
    action_url: str | None = None
    """Where a message leads: an address with `https://` or `http://`, or a path of the host that shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery(Model):
    """One message that a sender has claimed, with all that it needs to send it.

    `id` is the message's. A message may be handed over again after its sender died, always under this id: pass it to
    the provider as its idempotency key.
    """

    id: str
    channel: str
    """The channel's key in the registry."""
    type: str
    """The channel's type: `email`, `push`, `sms`, `chat` or another."""
    provider: str | None = None
    """The channel's provider in the registry."""
    workflow: str
    """Of the trigger, as what follows."""
    tenant: str | None = None
    """The tenant."""
    categories: tuple[str, ...] = ()
    """The categories."""
    data: Mapping[str, Any]
    """The data."""
    occurred_at: datetime
    """When the trigger was sent."""
    recipient: Mapping[str, Any]
    """The recipient now, after merges: `id`, the attributes that are set, and `properties`."""
    actor: Mapping[str, Any] | None = None
    """The same of who caused it; None if the trigger had no actor or the actor is missing."""
    address: str | None = None
    """The recipient's e-mail address or phone number, where the channel needs one."""
    tokens: tuple[str, ...] = ()
    """The recipient's tokens of this channel, where it needs them."""
    channel_data: Mapping[str, Any] | None = None
    """All that is kept of the recipient for this channel: tokens, devices, connections."""
    attempt: int = 1
    """1 for the first time that it is handed over."""
    claim: int = 1
    """Which claim this is. A report names it, so that it cannot be taken for that of a later claim."""
    lease_ends_at: datetime
    """Report before; after it another sender may claim the delivery."""
    trace: str | None = None
    """Where the trigger was sent, if that trace is recorded: W3C's `traceparent` and, after a space, `tracestate`."""
    content: Content | None = None
    """Rendered, where the workflow has a template for the channel and the claimer renders it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryReport(Model):
    """What a sender reports of one delivery; for reports of many with `rb.deliveries.report`."""

    id: str
    """The delivery's."""
    outcome: DeliveryOutcome
    """What became of it."""
    claim: int | None = None
    """The delivery's `claim`. None: of the last claim, if its lease lasts."""
    reason: str | None = None
    """Why it failed. Readers of deliveries see it, so say nothing that they may not know."""
    retry_after: float | None = None
    """Seconds until a failed delivery is tried again at the earliest."""
    permanent: bool = False
    """Whether a failed delivery is given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryStatus(Model):
    """What became of one delivery so far, as `rb.deliveries.get` and `list` return it. It has no address."""

    id: str
    """The message's."""
    user_id: str | None
    """Whose the message is now; None: no user's."""
    channel: str
    """The channel's key in the registry."""
    workflow: str
    """Of the trigger."""
    state: DeliveryState
    """What became of it."""
    reason: str | None
    """Why it failed, was skipped, given up or cancelled."""
    attempts: int
    """How often it was handed over."""
    due_at: datetime | None
    """When it may be claimed; of a claimed one, when its lease ends. None: it is done."""
    created_at: datetime
    """When its message was made."""
    changed_at: datetime
    """When its state changed."""
