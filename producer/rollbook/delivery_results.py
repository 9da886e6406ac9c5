"""What is reported of an attempt to hand a delivery over: what its block of code ended with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollbook import queries
from rollbook.delivery_failures import report_of_error, warn_if_lost
from rollbook.delivery_spans import delivery_span

if TYPE_CHECKING:
    from rollbook.models import Delivery, DeliveryReport


class AttemptResult:
    """The result of an attempt."""

    report: DeliveryReport
    """What to report; set when the block has ended."""

    def warn_if_lost(self, lost: tuple[str, ...]) -> None:
        """Log it if the report did not count, and the message was handed over.

        lost: what the report returned.
        """
        if self.report.outcome == "sent":
            warn_if_lost(lost)


@contextmanager
def attempt_result(delivery: Delivery) -> Iterator[AttemptResult]:
    """The result of the block, which is a span: sent, or failed where it raises, and that error goes no further. What
    ends the program or the task leaves it without a result.
    """
    result = AttemptResult()
    with delivery_span(delivery) as span:
        try:
            yield result
        except Exception as error:
            result.report = report_of_error(delivery, error)
            span.fail("undeliverable" if result.report.permanent else "failed")
        else:
            result.report = queries.checked_report(delivery, "sent")
            span.succeed("sent")
