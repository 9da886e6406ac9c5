"""Reports in Redis how much waits in the outbox: only the relay reads the application's database."""

from __future__ import annotations

import time
from collections.abc import Callable

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_ops.relay.outbox_table import OutboxCounts
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.inspection import REPORT_SECONDS, OutboxReport, report_outbox
from rollbook_shared.reasons import safe_reason


class OutboxReports:
    """Reports every few seconds."""

    def __init__(self, broker_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoints = parse_broker_url(broker_url)
        self._clock = clock
        self._next = clock()

    def report(self, count: Callable[[], OutboxCounts]) -> None:
        """Report what `count` returns, unless that was done in the last seconds.

        Raises:
            Unavailable: the broker is not available; so what `count` raises.
        """
        if self._clock() < self._next:
            return
        self._next = self._clock() + REPORT_SECONDS
        counts = count()
        report = OutboxReport(
            unsent=counts.unsent + counts.unsendable,
            unfinished=counts.unfinished,
            oldest=counts.oldest_seconds or 0.0,
        )
        self._send(report)

    def _send(self, report: OutboxReport) -> None:
        failure: BaseException | None = None
        for endpoint in self._endpoints:
            try:
                with endpoint.client(connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS) as client:
                    report_outbox(client, report)
            except BROKER_FAILURES as error:
                failure = error
            else:
                return
        if failure is not None:
            raise Unavailable(f"the broker did not take the report ({safe_reason(failure)})") from failure
