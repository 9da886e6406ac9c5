"""Deliveries: claim the messages that are to leave, report what became of them, and look at them."""

from __future__ import annotations

from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from rollbook.models import DeliveryReport
from rollbook_server.api.paging import LIST_PARAMETERS, list_limit
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import invalid
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_shared.errors import Problem

MAX_WAIT_SECONDS: Final = 20
"""How long a claim may wait for deliveries: less than a request may take."""


class ClaimBody(TypedDict):
    """What to claim: up to `limit` deliveries of a channel, by its key in the registry, for `lease` seconds. If there
    are none, the answer may `wait` some seconds for them.
    """

    channel: str
    limit: NotRequired[int]
    lease: NotRequired[float]
    wait: NotRequired[float]


class ClaimedBody(TypedDict):
    """A delivery, with what it takes to send it. `id` is the provider's idempotency key; a report names `claim`."""

    id: str
    channel: str
    type: str
    provider: str | None
    workflow: str
    tenant: str | None
    categories: list[str]
    data: dict[str, Any]
    occurred_at: str
    recipient: dict[str, Any]
    actor: dict[str, Any] | None
    address: str | None
    tokens: list[str]
    channel_data: dict[str, Any] | None
    attempt: int
    claim: int
    lease_ends_at: str
    trace: str | None
    content: dict[str, Any] | None


class ClaimAnswer(TypedDict):
    """The deliveries that were claimed; none if there are none."""

    items: list[ClaimedBody]


class ReportItem(TypedDict):
    """What became of a delivery: `sent`, `delivered`, `failed` (then with a `reason`) or `release`. With `claim` it
    counts only if no other sender has claimed the delivery since. `retry_after` is in seconds; `permanent` gives it up.
    """

    id: str
    outcome: str
    claim: NotRequired[int | None]
    reason: NotRequired[str | None]
    retry_after: NotRequired[float | None]
    permanent: NotRequired[bool]


class ReportBody(TypedDict):
    """1 to 1,000 reports, each of another delivery."""

    reports: list[ReportItem]


class ReportAnswer(TypedDict):
    """The ids of the deliveries whose report does not count: the lease was lost, or there is no such delivery."""

    lost: list[str]


class DeliveryBody(TypedDict):
    """What became of a delivery. It has no address."""

    id: str
    user_id: str | None
    channel: str
    workflow: str
    state: str
    reason: str | None
    attempts: int
    due_at: str | None
    created_at: str
    changed_at: str


class DeliveriesAnswer(TypedDict):
    """A page of deliveries; `after` leads to the next one."""

    items: list[DeliveryBody]
    after: str | None


class ChangedAnswer(TypedDict):
    """Whether the call changed the delivery. False: there is none, a sender has it, or it is done."""

    changed: bool


async def claim(call: Call) -> Answer:
    """Claim deliveries, to hand them over and to report of each before its lease ends.

    Deliveries that are not to be sent are skipped, with a reason. When a lease ends, another claim gets the delivery
    under the same id.
    """
    deliveries, body = call.services.client.deliveries, call.body
    wait = body.get("wait", 0)
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        raise invalid([Problem("wait", f"must be a number of seconds from 0 to {MAX_WAIT_SECONDS}")])
    options = {name: body[name] for name in ("limit", "lease") if name in body}
    claimed = await deliveries.claim(body["channel"], **options)
    if not claimed and wait and await deliveries.wait(body["channel"], wait):
        claimed = await deliveries.claim(body["channel"], **options)
    return Answer(body={"items": [delivery.as_dict() for delivery in claimed]})


async def report(call: Call) -> Answer:
    """Report what became of claimed deliveries. Reporting the same again is safe."""
    reports = [DeliveryReport(**item) for item in call.body["reports"]]
    return Answer(body={"lost": list(await call.services.client.deliveries.report(reports))})


async def list_deliveries(call: Call) -> Answer:
    """List the deliveries of a user's messages, of the newest messages first; or those in a state, the last changed
    first.
    """
    page = await call.services.client.deliveries.list(
        user_id=call.query.text("user_id"),
        state=call.query.text("state"),
        channel=call.query.text("channel"),
        limit=list_limit(call),
        after=call.query.text("after"),
    )
    return Answer(body={"items": [each.as_dict() for each in page.items], "after": page.after})


async def get(call: Call) -> Answer:
    """Read what became of a delivery."""
    return Answer(body=(await call.services.client.deliveries.get(call.path["delivery_id"])).as_dict())


async def cancel(call: Call) -> Answer:
    """Cancel a delivery that waits, so that no sender claims it."""
    return Answer(body={"changed": await call.services.client.deliveries.cancel(call.path["delivery_id"])})


async def retry(call: Call) -> Answer:
    """Let a delivery that was not sent be claimed again, now and with all of its attempts, whatever its age."""
    return Answer(body={"changed": await call.services.client.deliveries.retry(call.path["delivery_id"])})


_TEXT: Final = {"type": "string"}
_QUERY: Final = (
    Parameter("user_id", "Those of this user's messages.", _TEXT),
    Parameter("state", "Those in this state.", _TEXT),
    Parameter("channel", "Those of this channel, by its key in the registry.", _TEXT),
    *LIST_PARAMETERS,
)
ENDPOINTS: Final = (
    ApiRoute(
        method="POST", path="/v1/deliveries/claim", handler=claim, body=ClaimBody, answer=ClaimAnswer, tag="Deliveries"
    ),
    ApiRoute(
        method="POST",
        path="/v1/deliveries/report",
        handler=report,
        body=ReportBody,
        answer=ReportAnswer,
        tag="Deliveries",
    ),
    ApiRoute(
        method="GET",
        path="/v1/deliveries",
        handler=list_deliveries,
        answer=DeliveriesAnswer,
        query=_QUERY,
        tag="Deliveries",
    ),
    ApiRoute(method="GET", path="/v1/deliveries/{delivery_id}", handler=get, answer=DeliveryBody, tag="Deliveries"),
    *(
        ApiRoute(
            method="POST",
            path=f"/v1/deliveries/{{delivery_id}}/{handler.__name__}",
            handler=handler,
            answer=ChangedAnswer,
            tag="Deliveries",
        )
        for handler in (cancel, retry)
    ),
)
