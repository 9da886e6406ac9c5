"""Checks the arguments of calls about deliveries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

from rollbook.models import Delivery, DeliveryOutcome, DeliveryReport, DeliveryState
from rollbook.queries.page_cursor import CHANGES, HISTORY, PageCursor
from rollbook.queries.validation import (
    MAX_PAGE,
    check_channel,
    check_choice,
    check_page,
    checked_cursor,
    checked_message_id,
    checked_user_id,
)
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.json_values import find_text_problem

if TYPE_CHECKING:
    from rollbook_shared.registry import Channel, Registry

MAX_LEASE: Final = 86_400
"""Seconds."""
MAX_REASON: Final = 500
"""Characters; what is longer is cut."""
MAX_RETRY_AFTER: Final = 30 * 86_400
"""Seconds."""


def checked_delivered_channel(key: object, registry: Registry) -> Channel:
    """The channel, or `InvalidRequest`: the registry has none of this key that is delivered."""
    check_channel(key)
    channel = registry.channels.get(str(key))
    if channel is None or channel.delivery is None:
        raise InvalidRequest([Problem("channel", "must be the key of a channel of the registry that has `delivery`")])
    return channel


def checked_claim(limit: object, lease: object) -> tuple[int, float]:
    """How many to claim, and for how long; or `InvalidRequest`."""
    problems = []
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_PAGE:
        problems.append(Problem("limit", f"must be a number from 1 to {MAX_PAGE}"))
    if not _is_number(lease, 1, MAX_LEASE):
        problems.append(Problem("lease", f"must be a number of seconds from 1 to {MAX_LEASE}"))
    if problems:
        raise InvalidRequest(problems)
    return limit, lease  # type: ignore[return-value]


def checked_delivery_id(delivery: object) -> UUID:
    """The id of a delivery that is given as such or by its id, or `InvalidRequest`."""
    try:
        return checked_message_id(delivery.id if isinstance(delivery, Delivery) else delivery)
    except InvalidRequest as error:
        raise InvalidRequest([Problem("delivery", problem.reason) for problem in error.problems]) from None


def checked_report(
    delivery: object,
    outcome: object,
    *,
    claim: object = None,
    reason: object = None,
    retry_after: object = None,
    permanent: object = False,
) -> DeliveryReport:
    """The report, or `InvalidRequest` with all problems."""
    id_ = str(checked_delivery_id(delivery))
    claim = delivery.claim if isinstance(delivery, Delivery) else claim
    problems = []
    if outcome not in get_args(DeliveryOutcome):
        problems.append(Problem("outcome", f"must be one of {', '.join(get_args(DeliveryOutcome))}"))
    if claim is not None and (not isinstance(claim, int) or isinstance(claim, bool) or not 1 <= claim < 2**31):
        problems.append(Problem("claim", "must be the `claim` of a delivery"))
    if retry_after is not None and not _is_number(retry_after, 0, MAX_RETRY_AFTER):
        problems.append(Problem("retry_after", f"must be a number of seconds from 0 to {MAX_RETRY_AFTER}"))
    if not isinstance(permanent, bool):
        problems.append(Problem("permanent", "must be True or False"))
    if outcome == "failed" or reason is not None:
        if not isinstance(reason, str) or not reason:
            problems.append(Problem("reason", "must be text"))
        elif problem := find_text_problem(reason):
            problems.append(Problem("reason", problem))
    if problems:
        raise InvalidRequest(problems)
    fields: dict[str, Any] = {"outcome": outcome, "claim": claim, "retry_after": retry_after, "permanent": permanent}
    return DeliveryReport(id=id_, reason=None if reason is None else str(reason)[:MAX_REASON], **fields)


def checked_reports(reports: Iterable[DeliveryReport]) -> tuple[DeliveryReport, ...]:
    """1 to 1,000 reports, each of another delivery, or `InvalidRequest` with all problems."""
    given = tuple(reports)
    if not 1 <= len(given) <= MAX_PAGE:
        raise InvalidRequest([Problem("reports", f"must be 1 to {MAX_PAGE} reports")])
    problems: list[Problem] = []
    found: dict[str, DeliveryReport] = {}
    for index, each in enumerate(given):
        try:
            if not isinstance(each, DeliveryReport):
                raise InvalidRequest([Problem("", "must be a DeliveryReport")])
            report = checked_report(
                each.id,
                each.outcome,
                claim=each.claim,
                reason=each.reason,
                retry_after=each.retry_after,
                permanent=each.permanent,
            )
            if report.id in found:
                raise InvalidRequest([Problem("delivery", "is reported of twice")])
            found[report.id] = report
        except InvalidRequest as error:
            problems += [
                Problem(f"reports[{index}].{problem.field}".rstrip("."), problem.reason, index)
                for problem in error.problems
            ]
    if problems:
        raise InvalidRequest(problems)
    return tuple(found.values())


def checked_delivery_list(
    user_id: object, state: object, channel: object, limit: object, after: object
) -> tuple[DeliveryState | None, PageCursor | None]:
    """The state and the cursor of a list of deliveries, or `InvalidRequest`."""
    check_page(limit, after)
    if channel is not None:
        check_channel(channel)
    if state is not None:
        check_choice("state", state, list(DeliveryState))
    if user_id is not None:
        checked_user_id(user_id)
    elif state is None:
        raise InvalidRequest([Problem("state", "must be given if no user is")])
    cursor = None if after is None else checked_cursor(after, CHANGES if user_id is None else HISTORY)
    return None if state is None else DeliveryState(str(state)), cursor


def _is_number(value: object, least: float, most: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and least <= value <= most
    )
