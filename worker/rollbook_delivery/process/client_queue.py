"""The deliveries of a database, through the client."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from rollbook import AsyncRollbook
from rollbook.models import Delivery, DeliveryReport
from rollbook_delivery.process.report_batches import ReportBatches
from rollbook_delivery.results import Delivered, Failed, Result, Sent, TokenGone

logger: Final = logging.getLogger("rollbook.delivery")

TOKEN_GONE: Final = "the recipient's token is gone"


class ClientQueue:
    """See `DeliveryQueue`."""

    def __init__(self, client: AsyncRollbook) -> None:
        """Use this client, and close it at the end."""
        self._client = client
        self._reports = ReportBatches(client.deliveries.report)

    async def wait(self, channel: str, timeout: float) -> bool:
        """See `DeliveryQueue`."""
        return await self._client.deliveries.wait(channel, timeout)

    async def claim(self, channel: str, *, limit: int, lease: float) -> Sequence[Delivery]:
        """See `DeliveryQueue`."""
        return await self._client.deliveries.claim(channel, limit=limit, lease=lease)

    async def report(self, delivery: Delivery, result: Result) -> None:
        """See `DeliveryQueue`."""
        if isinstance(result, TokenGone):
            # first, so that the next attempt finds it removed; removing it again changes nothing
            await self._client.deliveries.token_gone(delivery, result.token)
        if not await self._reports.report(report_of(delivery, result)):
            logger.warning("deliver: the lease of %s ended before it was reported; it may be sent again", delivery.id)

    async def release(self, deliveries: Sequence[Delivery]) -> None:
        """See `DeliveryQueue`. A lease that was lost needs no release."""
        await self._client.deliveries.report(
            [DeliveryReport(id=delivery.id, outcome="release", claim=delivery.claim) for delivery in deliveries]
        )

    async def aclose(self) -> None:
        """See `DeliveryQueue`."""
        await self._client.aclose()


def report_of(delivery: Delivery, result: Result) -> DeliveryReport:
    """The report that says what became of a delivery."""
    match result:
        case Sent():
            return DeliveryReport(id=delivery.id, outcome="sent", claim=delivery.claim)
        case Delivered():
            return DeliveryReport(id=delivery.id, outcome="delivered", claim=delivery.claim)
        case TokenGone() if len(delivery.tokens) > 1:  # the others have it
            return DeliveryReport(id=delivery.id, outcome="sent", claim=delivery.claim)
        case TokenGone():
            return DeliveryReport(
                id=delivery.id, outcome="failed", claim=delivery.claim, reason=TOKEN_GONE, permanent=True
            )
        case Failed(reason=reason, retry_after=retry_after, permanent=permanent):
            return DeliveryReport(
                id=delivery.id,
                outcome="failed",
                claim=delivery.claim,
                reason=reason,
                retry_after=retry_after,
                permanent=permanent,
            )
