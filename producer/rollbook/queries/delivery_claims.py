"""Claims deliveries: which ones, and what of them is decided when they are claimed.

Deliveries of a higher priority come first. Workflows of the same priority share a claim, so a newsletter to a million
delays the other mails of its channel by no more than the share of one workflow. Within a workflow the delivery that has
been due for longest comes first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rollbook.models import Delivery
from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_shared.database.statements import load
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.stamps import Stamp, datetime_of, occurred_at_of
from rollbook_shared.registry import CHANNEL_DATA, Channel

MAX_LOOKED_AT: Final = 10
"""Deliveries that one claim looks at, for each that it may claim. It skips all others of these."""
_LEAST_LOOKED_AT: Final = 1_000
_SQL: Final = load(__package__, "delivery_claims")
_Workflow = tuple[int, str]
"""A priority, and the key of a workflow."""


@write_query
def claim_deliveries(channel: Channel, limit: int, lease: float) -> Steps[tuple[Delivery, ...]]:
    """Claim up to `limit` deliveries of a channel for `lease` seconds; skip those that are not to be sent."""
    yield Statement(_SQL["plan_by_index"], {})
    if channel.per_second is not None:
        limit = min(limit, (yield from _allowance(channel, channel.per_second)))
    claimed: list[Delivery] = []
    if limit > 0:
        rows = yield Statement(_SQL["waiting"], {"channel": channel.key})
        waiting: list[_Workflow] = [(row["priority"], row["workflow"]) for row in rows]
        left_to_look = max(MAX_LOOKED_AT * limit, _LEAST_LOOKED_AT)
        while waiting and len(claimed) < limit and left_to_look > 0:
            parts = shares(waiting, limit - len(claimed))
            parameters = {**_needs(channel), "parts": _as_json(parts), "lease": lease}
            rows = yield Statement(_SQL["claim"], parameters)
            claimed += [_delivery(row, channel) for row in rows if row["state"] == "claimed"]
            found = _count(rows, parts)
            waiting = [each for each in waiting if found.get(each, 1) >= parts.get(each, 1)]
            left_to_look -= len(rows)
    if channel.per_second is not None and claimed:
        yield Statement(_SQL["spend"], {"channel": channel.key, "claimed": len(claimed)})
    claimed.sort(key=lambda delivery: delivery.occurred_at)
    return tuple(claimed)


@query
def has_due_deliveries(channel_key: str) -> Steps[bool]:
    """Whether a delivery of the channel may be claimed now."""
    return bool((yield Statement(_SQL["waiting"], {"channel": channel_key})))


def shares(waiting: Sequence[_Workflow], limit: int) -> dict[_Workflow, int]:
    """How many of each workflow to claim: those of the highest priority share the limit. If they are more than that,
    the first of them: `waiting` is in an order by chance.
    """
    first = min(priority for priority, _ in waiting)
    workflows = [each for each in waiting if each[0] == first]
    if len(workflows) > limit:
        return dict.fromkeys(workflows[:limit], 1)
    least, more = divmod(limit, len(workflows))
    return {each: least + (place < more) for place, each in enumerate(workflows)}


def _allowance(channel: Channel, per_second: float) -> Steps[int]:
    parameters = {"channel": channel.key, "per_second": per_second, "burst": max(per_second, 1.0)}
    (row,) = yield Statement(_SQL["allowance"], parameters)
    return int(row["allowance"])


def _count(rows: Sequence[Mapping[str, Any]], parts: Mapping[_Workflow, int]) -> dict[_Workflow, int]:
    found = dict.fromkeys(parts, 0)
    for row in rows:
        found[row["claimed_for"], row["claimed_of"]] += 1
    return found


def _as_json(parts: Mapping[_Workflow, int]) -> str:
    return json.dumps(
        [{"priority": priority, "workflow": workflow, "most": most} for (priority, workflow), most in parts.items()]
    )


def _needs(channel: Channel) -> dict[str, object]:
    attribute = None if channel.needs in (None, CHANNEL_DATA) else channel.needs
    section = "a" if attribute in ATTRIBUTES else "p"
    return {
        "channel": channel.key,
        "max_attempts": channel.attempts,
        "skip_seen": channel.skip_seen,
        "attribute": None if attribute is None else f"{section}.{attribute}",
        "needs_channel_data": channel.needs == CHANNEL_DATA,
    }


def _delivery(row: Mapping[str, Any], channel: Channel) -> Delivery:
    recipient = _person(row["owner"], row["profile"])
    channel_data = row["channel_data"] if isinstance(row["channel_data"], dict) else None
    tokens = (channel_data or {}).get("tokens")
    return Delivery(
        id=str(row["id"]),
        channel=channel.key,
        type=channel.type,
        provider=channel.provider,
        workflow=row["workflow"],
        tenant=row["tenant"],
        categories=tuple(row["categories"]),
        data=row["data"],
        occurred_at=datetime_of(occurred_at_of(Stamp(row["stamp"]))),
        recipient=recipient,
        actor=None if row["actor"] is None else _person(row["actor"], row["actor_profile"]),
        address=_address(recipient, channel.needs),
        tokens=tuple(token for token in tokens if isinstance(token, str)) if isinstance(tokens, list) else (),
        channel_data=channel_data,
        attempt=row["attempt"],
        claim=row["claim"],
        lease_ends_at=row["lease_ends_at"],
        trace=row["trace"],
    )


def _person(user_id: str, profile: Mapping[str, Any] | None) -> dict[str, Any]:
    """A user as templates and senders see it: the attributes that are set, and the properties."""
    stored = profile or {}
    attributes = {key[2:]: value for key, value in stored.items() if key.startswith("a.") and value is not None}
    properties = {key[2:]: value for key, value in stored.items() if key.startswith("p.")}
    return {"id": user_id, **attributes, "properties": properties}


def _address(recipient: Mapping[str, Any], needs: str | None) -> str | None:
    if needs is None or needs == CHANNEL_DATA:
        return None
    found = recipient.get(needs) if needs in ATTRIBUTES else recipient["properties"].get(needs)
    return found if isinstance(found, str) else None
