"""A sender of an application's own, which at times lies: `python -m benchmarks.chaos.own_sender`.

SIGUSR1 makes it lie about the next deliveries: it reports after its lease, twice and each time otherwise, and of
deliveries that others have.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from itertools import cycle
from pathlib import Path
from typing import Final

from benchmarks.chaos.delivery_journal import JOURNAL, DeliveryJournal, Report
from benchmarks.chaos.fault_kinds import LEASE_SECONDS
from benchmarks.chaos.sender_registry import OWN_CHANNEL, SINK_TIMEOUT, SINK_URL

from rollbook import Rollbook
from rollbook.models import Delivery, DeliveryOutcome, DeliveryReport, DeliveryState
from rollbook_shared.errors import Unavailable

_AT_ONCE: Final = 4
_IDLE_SECONDS: Final = 0.5
"""After so long without a delivery it looks whether it is to stop."""
_RETRY_SECONDS: Final = 0.2
LIES: Final = 3
"""Deliveries that it lies about at a time: one in each way."""
_NO_CLAIM: Final = 1_000_000
"""More than a delivery has claims."""


class OwnSender:
    """Claims deliveries, hands each over and reports it."""

    def __init__(self, rb: Rollbook, journal: DeliveryJournal) -> None:
        self._rb = rb
        self._journal = journal
        self._ways = cycle((self._report_late, self._report_twice, self._report_of_others))
        self.lies_left = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Send until `stopped`."""
        while not self.stopped.is_set():
            try:
                self._send_some()
            except Unavailable:
                time.sleep(_RETRY_SECONDS)

    def _send_some(self) -> None:
        claimed = self._rb.deliveries.claim_each(OWN_CHANNEL, limit=_AT_ONCE, lease=LEASE_SECONDS, idle=_IDLE_SECONDS)
        try:
            for delivery in claimed:
                self._send(delivery)
                if self.stopped.is_set():
                    return
        finally:
            claimed.close()  # releases what it has claimed in advance

    def _send(self, delivery: Delivery) -> None:
        self._journal.claimed([delivery], LEASE_SECONDS)
        if not _hand_over(delivery):
            self._report(delivery.id, delivery.claim, "failed")
        elif self.lies_left:
            self.lies_left -= 1
            next(self._ways)(delivery)
        else:
            self._report(delivery.id, delivery.claim, "sent")

    def _report_late(self, delivery: Delivery) -> None:
        # by our clock, which is that of Postgres; another sender may have it by then
        time.sleep(max(0.0, delivery.lease_ends_at.timestamp() - time.time()) + _RETRY_SECONDS)
        self._report(delivery.id, delivery.claim, "sent")

    def _report_twice(self, delivery: Delivery) -> None:
        self._report(delivery.id, delivery.claim, "sent")
        self._report(delivery.id, delivery.claim, "sent")
        self._report(delivery.id, delivery.claim, "failed")

    def _report_of_others(self, delivery: Delivery) -> None:
        self._report(delivery.id, delivery.claim, "sent")
        for state in (DeliveryState.CLAIMED, DeliveryState.PENDING):
            for other in self._rb.deliveries.list(state=state, limit=_AT_ONCE).items:
                self._report(other.id, _NO_CLAIM, "sent", is_lie=True)

    def _report(self, id: str, claim: int, outcome: DeliveryOutcome, *, is_lie: bool = False) -> None:
        """Report until Postgres has answered."""
        reason = "the sink did not take it" if outcome == "failed" else None
        report = DeliveryReport(id=id, claim=claim, outcome=outcome, reason=reason)
        while not self.stopped.is_set():
            begun = time.time()
            self._journal.add(Report(id=id, claim=claim, outcome=outcome, begun_at=begun, is_lie=is_lie))
            try:
                lost = self._rb.deliveries.report([report])
            except Unavailable:
                time.sleep(_RETRY_SECONDS)
                continue
            answer = {"answered_at": time.time(), "counts": id not in lost}
            self._journal.add(
                Report(id=id, claim=claim, outcome=outcome, begun_at=begun, is_lie=is_lie, **answer)  # type: ignore[arg-type]
            )
            return


def _hand_over(delivery: Delivery) -> bool:
    """Return whether the sink says that it has the message."""
    body = json.dumps({"id": delivery.id, "claim": delivery.claim}).encode()
    try:
        urllib.request.urlopen(os.environ[SINK_URL], data=body, timeout=SINK_TIMEOUT).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Send until SIGTERM."""
    with Rollbook.from_env() as rb:
        sender = OwnSender(rb, DeliveryJournal(Path(os.environ[JOURNAL])))

        def lie(*_: object) -> None:
            sender.lies_left = LIES

        signal.signal(signal.SIGTERM, lambda *_: sender.stopped.set())
        signal.signal(signal.SIGUSR1, lie)
        print("sender: started", flush=True)
        sender.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
