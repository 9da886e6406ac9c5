"""What is reported of a delivery whose sender raised an error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rollbook import models
from rollbook.errors import DeliveryFailed

if TYPE_CHECKING:
    from rollbook.models import Delivery, DeliveryReport

logger: Final = logging.getLogger("rollbook.deliveries")


def report_of_error(delivery: Delivery, error: Exception) -> DeliveryReport:
    """The report of a delivery that was not handed over because of this error; one that no sender foresaw is logged by
    its type: its text may hold an address.
    """
    if isinstance(error, DeliveryFailed):
        fields = {"reason": error.reason or type(error).__name__, "retry_after": error.retry_after}
        permanent = error.permanent
    else:
        name = type(error).__name__
        logger.warning("a delivery failed: %s; it is tried again", name)
        fields, permanent = {"reason": name, "retry_after": None}, False
    return models.DeliveryReport(id=delivery.id, outcome="failed", claim=delivery.claim, permanent=permanent, **fields)  # type: ignore[arg-type]


def warn_if_lost(lost: tuple[str, ...]) -> None:
    """Log that deliveries which were handed over may be handed over again."""
    for delivery_id in lost:
        logger.warning("the lease of the delivery %s ended before it was reported; it may be sent again", delivery_id)
