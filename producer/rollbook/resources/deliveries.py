"""Deliveries: claim the messages that are to leave, report what became of them, and look at them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rollbook import commands, models, queries
from rollbook.delivery_pace import EMPTY_SECONDS, Pace

if TYPE_CHECKING:
    from uuid import UUID

    from rollbook.models import Delivery, DeliveryReport, DeliveryState, DeliveryStatus, Page
    from rollbook.resources.context import ClientContext
    from rollbook.resources.jobs import JobHandle

EACH_LIMIT: Final = 20
"""How many deliveries `claim_each` claims at a time."""


class Deliveries:
    """Claim the messages that are to leave, report what became of them, and look at them.

    Needs the database; claims and reports also the registry (`ROLLBOOK_REGISTRY`). Every call raises

        InvalidRequest: an argument is invalid; the problem names it.
        NotConfigured: there is no database URL or registry, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the role in the URL may not do this.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def claim(self, channel: str, *, limit: int = 100, lease: float = 30) -> tuple[Delivery, ...]:
        """Claim deliveries of a channel, to hand them over and to report of each before its lease ends.

        What is decided is decided now: whose the message is after merges, whether they had opted out when the trigger
        happened, their address, whether the message is too old, was seen, or its recipient deleted. Deliveries that are
        not to be sent are skipped, with their reason, and others claimed in their place. An empty result says that none
        may be claimed now, or that a thousand were looked at and skipped.

        A sender that dies reports nothing. When the lease ends, another claim gets the delivery, under the same id: so
        a message may be handed over twice, and its id is the idempotency key for the provider.

            for delivery in rb.deliveries.claim("push"):
                send(delivery.tokens, delivery.data, idempotency_key=delivery.id)
                rb.deliveries.sent(delivery)

        channel: the key of a channel of the registry that has `delivery`.
        limit: 1 to 1,000 deliveries; fewer if the channel has a rate. Workflows with a higher priority come first, and
            those with the same one share the limit.
        lease: in seconds, 1 to 86,400: longer than all of them take.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        found = queries.checked_delivered_channel(channel, self._context.registry())
        return self._context.read(queries.claim_deliveries(found, *queries.checked_claim(limit, lease)))

    def sent(self, delivery: Delivery | str | UUID) -> None:
        """Report that a delivery was handed over. It is not claimed again. Reporting it again is safe.

        delivery: as it was claimed. By its id alone the report is of the last claim, and counts while its lease lasts.

        Raises:
            LeaseLost: the report does not count: another sender may have the delivery, or it was cancelled.
            DeliveryNotFound: there is no such delivery.
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        return self._report(queries.checked_report(delivery, "sent"))

    def delivered(self, delivery: Delivery | str | UUID) -> None:
        """Report that the recipient's provider or device has it; for one that was sent at any time later.

        Raises:
            LeaseLost, DeliveryNotFound, InvalidRequest, NotConfigured, Unavailable: see `sent`.
        """
        return self._report(queries.checked_report(delivery, "delivered"))

    def failed(
        self,
        delivery: Delivery | str | UUID,
        reason: str,
        *,
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        """Report that handing over failed. The delivery is tried again after a growing delay, as often as its channel
        permits, and is then undeliverable.

        reason: for people; 500 characters of it are kept. Say nothing in it that readers of deliveries may not know.
        retry_after: in seconds: not tried again before.
        permanent: it is undeliverable at once. A delivery that was sent can be reported so as well (it bounced).

        Raises:
            LeaseLost, DeliveryNotFound, InvalidRequest, NotConfigured, Unavailable: see `sent`.
        """
        return self._report(
            queries.checked_report(delivery, "failed", reason=reason, retry_after=retry_after, permanent=permanent)
        )

    def release(self, delivery: Delivery | str | UUID) -> None:
        """Let another sender claim a delivery at once. It was not tried, and the claim is not counted as an attempt.

        Raises:
            LeaseLost, DeliveryNotFound, InvalidRequest, NotConfigured, Unavailable: see `sent`.
        """
        return self._report(queries.checked_report(delivery, "release"))

    def report(self, reports: Iterable[DeliveryReport]) -> tuple[str, ...]:
        """Report of 1 to 1,000 deliveries at once; return the ids of those whose report does not count (see `sent`).

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        return self._context.read(queries.report_deliveries(queries.checked_reports(reports), self._context.registry()))

    def token_gone(self, delivery: Delivery | DeliveryStatus, token: str) -> JobHandle:
        """Report that a push token does not reach the recipient any more: a job removes it from the channel's data.

        Report of the delivery itself as well.

        Raises:
            InvalidRequest: the token is invalid, or the delivery has no user. Nothing was sent.
            NotConfigured, NotSent: see `Users.remove_push_token`.
        """
        user_id = delivery.recipient["id"] if isinstance(delivery, models.Delivery) else delivery.user_id
        job = commands.remove_push_token(
            user_id or "", delivery.channel, token, limits=self._context.limits, now=self._context.now()
        )
        return self._context.publish(job)

    def cancel(self, delivery_id: Delivery | str | UUID) -> bool:
        """Cancel a delivery that waits. False: a sender has it, it is done, or there is none.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        return self._context.read(queries.cancel_delivery(queries.checked_delivery_id(delivery_id)))

    def retry(self, delivery_id: str | UUID) -> bool:
        """Let a delivery that failed, or was given up, skipped or cancelled, be claimed again, now and with all of its
        attempts; its age counts from now. The next claim decides anew whether it is sent. False: it waits or was sent.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        return self._context.read(
            queries.retry_delivery(queries.checked_delivery_id(delivery_id), self._context.registry())
        )

    def get(self, delivery_id: str | UUID) -> DeliveryStatus:
        """Read what became of a delivery.

        Raises:
            DeliveryNotFound: there is no such delivery.
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        return self._context.read(queries.find_delivery(queries.checked_delivery_id(delivery_id)))

    def list(
        self,
        *,
        user_id: str | None = None,
        state: DeliveryState | str | None = None,
        channel: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[DeliveryStatus]:
        """Read a page of deliveries: those of a user's messages, of the newest messages first; or all in one state,
        those that changed last first. Give one of both, or both. A page looks at 10,000 deliveries at most that it does
        not show: where a channel is rare it is shorter, or empty, and its `after` goes on.

        channel: only those of this channel, by its key.
        limit: 1 to 1,000 deliveries.
        after: the `after` of the previous page, with the same arguments.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        checked, cursor = queries.checked_delivery_list(user_id, state, channel, limit, after)
        if user_id is not None:
            return self._context.read(queries.find_deliveries_of_user(user_id, checked, channel, limit, cursor))
        assert checked is not None
        return self._context.read(queries.find_deliveries(checked, channel, limit, cursor))

    def wait(self, channel: str, timeout: float = 30.0) -> bool:
        """Wait until a delivery of the channel may be claimed; False: none came in time.

        If the client has a broker, it listens there to what workers publish; it asks the database once a second
        anyway.

        timeout: in seconds; 0 asks once.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`.
        """
        from rollbook.delivery_wait import wait_for_deliveries  # imported here: only senders need it

        found = queries.checked_delivered_channel(channel, self._context.registry())
        return wait_for_deliveries(
            lambda: self._context.read(queries.has_due_deliveries(found.key)),
            found.key,
            self._context.broker_url,
            queries.checked_timeout(timeout),
        )

    def claim_each(
        self, channel: str, *, limit: int = EACH_LIMIT, lease: float = 30, idle: float | None = None
    ) -> Generator[Delivery, None, None]:
        """Claim deliveries one after the other, and wait for more: the loop of a sender.

            for delivery in rb.deliveries.claim_each("push"):
                with rb.deliveries.attempt(delivery):
                    send(delivery)

        When half of the lease is over, the deliveries that it has claimed in advance are released, and claimed anew;
        and so they are when the loop ends.

        limit: how many it claims in advance.
        lease: in seconds; twice as long as one of them may take.
        idle: end when there was nothing to claim for so many seconds. By default it never ends.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Deliveries`; when the next one is claimed.
        """
        queries.checked_claim(limit, lease)
        pace = Pace(idle)
        while (seconds := pace.wait_seconds()) is not None:
            if not self.wait(channel, seconds):
                continue
            until = time.monotonic() + lease / 2
            if claimed := self.claim(channel, limit=limit, lease=lease):
                yield from self._hand_out(claimed, until)
                pace.found()
            else:
                time.sleep(EMPTY_SECONDS)

    @contextmanager
    def attempt(self, delivery: Delivery) -> Iterator[None]:
        """Hand a delivery over in a `with` block, and report of it: as sent when the block ends, and as failed when it
        raises.

        `DeliveryFailed`, raised in the block, says the reason, and whether and when to try again. Of any other
        exception the reason is its type; it is logged, and goes no further. What ends the program (KeyboardInterrupt)
        releases the delivery. A lease that was lost meanwhile is logged: the message was handed over, and may be once
        more. The block is a span in the trace of the trigger, if the program has an SDK of OpenTelemetry.

        Raises:
            NotConfigured, Unavailable: see `Deliveries`; when it reports.
        """
        from rollbook.delivery_results import attempt_result  # imported here: only senders need it

        try:
            with attempt_result(delivery) as result:
                yield
        except BaseException:
            self.report([queries.checked_report(delivery, "release")])
            raise
        result.warn_if_lost(self.report([result.report]))

    def _hand_out(self, deliveries: tuple[Delivery, ...], until: float) -> Generator[Delivery, None, None]:
        left = list(reversed(deliveries))
        try:
            while left and time.monotonic() < until:
                yield left.pop()
        finally:
            if left:
                self.report([queries.checked_report(delivery, "release") for delivery in left])

    def _report(self, report: DeliveryReport) -> None:
        return self._context.read(queries.report_delivery(report, self._context.registry()))
