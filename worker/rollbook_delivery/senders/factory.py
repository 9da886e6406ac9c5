"""Makes the sender of a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from rollbook_delivery.senders.sender import Sender
from rollbook_shared.registry import Channel, DeliveryMethod


def make_sender(channel: Channel, env: Mapping[str, str]) -> Sender | None:
    """The sender that the registry names for the channel; None if the application has one of its own, or there is none.

    Only what the sender needs is imported: extras of others may be missing.

    env: environment variables, which options name for what is secret.

    Raises:
        NotConfigured: an option, a variable that one names, or an extra is missing or invalid.
    """
    match channel.delivery:
        case None | DeliveryMethod.CLAIM:
            return None
        case DeliveryMethod.SMTP:
            from rollbook_delivery.senders.smtp import SmtpSender

            return SmtpSender(channel, env)
        case DeliveryMethod.WEBHOOK:
            from rollbook_delivery.senders.webhook import WebhookSender

            return WebhookSender(channel, env)
        case DeliveryMethod.APPRISE:
            from rollbook_delivery.senders.apprise import AppriseSender

            return AppriseSender(channel, env)
        case DeliveryMethod.CELERY:
            from rollbook_delivery.senders.celery_task import CelerySender

            return CelerySender(channel, env)
        case _:
            assert_never(channel.delivery)
