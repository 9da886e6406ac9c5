"""Explanations: why a user or a message is as it is, and which jobs made it so."""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import TypedDict

from rollbook.errors import InvalidRequest
from rollbook_server.api.deliveries import DeliveryBody
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import invalid, not_found
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_shared.errors import Problem


class ExplainedValueBody(TypedDict):
    """A value that a user has now, where it stands, and the job that set it. `user_id` is the id under which it
    arrived.
    """

    section: str
    path: list[str]
    value: Any
    occurred_at: str
    job_id: str
    user_id: str


class ExplainedTokenBody(TypedDict):
    """A push token that a user has now, and the job that set it."""

    channel_id: str
    token: str
    device: dict[str, Any] | None
    occurred_at: str
    job_id: str
    user_id: str


class ExplainedEventBody(TypedDict):
    """A delete, or a merge of `user_id` into `primary_id`; `no_effect` says why it took none."""

    kind: str
    user_id: str
    primary_id: str | None
    occurred_at: str
    job_id: str
    no_effect: str | None


class ExplainedPeriodBody(TypedDict):
    """From when to when which user owns what was addressed to an id."""

    user_id: str
    since: str
    until: str | None
    owner: str | None
    existed: bool


class UserExplanationBody(TypedDict):
    """Which job set each value of a user, and which ids stand for the user."""

    id: str
    asked_for: str
    exists: bool
    traits: list[ExplainedValueBody]
    preferences: list[ExplainedValueBody]
    channel_data: list[ExplainedValueBody]
    tokens: list[ExplainedTokenBody]
    ids: list[str]
    events: list[ExplainedEventBody]
    ownership: list[ExplainedPeriodBody]
    is_complete: bool


class ExplainedSettingBody(TypedDict):
    """A preference setting that applied to a message; `false` stopped it, null says nothing."""

    path: list[str]
    value: bool | None
    occurred_at: str | None
    job_id: str | None
    user_id: str | None


class MessageExplanationBody(TypedDict):
    """Whose a message is and why, which settings let it through or stopped it, and what became of its delivery."""

    id: str
    job_id: str
    workflow: str
    tenant: str | None
    categories: list[str]
    channel: str
    occurred_at: str
    addressed_to: str
    owner: str | None
    owner_reason: str
    events: list[ExplainedEventBody]
    preference_set: str | None
    settings: list[ExplainedSettingBody]
    is_allowed: bool
    is_visible: bool
    delivery: DeliveryBody | None


async def explain_user(call: Call) -> Answer:
    """Explain a user: which job set each value, when, and under which id it arrived.

    An id that was merged away gives the user that it stands for. Of a deleted user only the events are known, until it
    is erased.
    """
    return Answer(body=(await call.services.client.users.explain(call.path["user_id"])).as_dict())


async def explain_message(call: Call) -> Answer:
    """Explain a message: whose it is, which preference settings let it through or stopped it, and its delivery.

    Messages that preferences stop are explained, too.
    """
    try:
        explanation = await call.services.client.messages.explain(call.path["message_id"])
    except InvalidRequest:
        explanation = None
    return _answer(explanation)


async def explain_recipient(call: Call) -> Answer:
    """Explain the message that a trigger made for one recipient on a channel.

    Where it made none the answer is 404: the trigger's job says which recipients were skipped.
    """
    if (user_id := call.query.text("recipient")) is None:
        raise invalid([Problem("recipient", "is required")])
    channel = call.query.text("channel") or "in_app"
    messages = call.services.client.messages
    return _answer(await messages.explain_recipient(call.path["job_id"], user_id, channel=channel))


def _answer(explanation: Any) -> Answer:
    if explanation is None:
        raise not_found("the message was not found")
    return Answer(body=explanation.as_dict())


_TEXT: Final = {"type": "string"}
ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/users/{user_id}/explanation",
        handler=explain_user,
        answer=UserExplanationBody,
        tag="Users",
    ),
    ApiRoute(
        method="GET",
        path="/v1/messages/{message_id}/explanation",
        handler=explain_message,
        answer=MessageExplanationBody,
        tag="Messages",
    ),
    ApiRoute(
        method="GET",
        path="/v1/jobs/{job_id}/explanation",
        handler=explain_recipient,
        answer=MessageExplanationBody,
        query=(
            Parameter("recipient", "The recipient's id as the trigger named it.", _TEXT),
            Parameter("channel", "The type of the channel; by default `in_app`.", _TEXT),
        ),
        tag="Messages",
    ),
)
