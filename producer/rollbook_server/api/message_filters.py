"""The filters of messages and feeds, from query strings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic_core import from_json

from rollbook import MessageFilter
from rollbook_server.http.errors import invalid
from rollbook_server.http.query_params import QueryParams
from rollbook_server.routes import Parameter
from rollbook_shared.errors import Problem

_MICROSECOND: Final = timedelta(microseconds=1)
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_TIME: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
FILTER_PARAMETERS: Final = (
    Parameter("source", "Messages of this workflow.", _TEXT),
    Parameter("tenant", "Messages on behalf of this tenant.", _TEXT),
    Parameter("has_tenant", "Messages on behalf of any tenant, or of none.", {"type": "boolean"}),
    Parameter(
        "workflow_categories[]",
        "Messages of workflows in one of these categories.",
        {"type": "array", "items": _TEXT},
    ),
    Parameter("trigger_data", "Messages whose data contains this JSON object.", _TEXT),
    Parameter("inserted_at.gt", "Messages that occurred after this time.", _TIME),
    Parameter("inserted_at.gte", "Messages that occurred at this time or after it.", _TIME),
    Parameter("inserted_at.lt", "Messages that occurred before this time.", _TIME),
    Parameter("inserted_at.lte", "Messages that occurred at this time or before it.", _TIME),
)


def filter_of(query: QueryParams) -> MessageFilter:
    """Which messages a query string asks for.

    Raises:
        ApiError: 422, a parameter is invalid.
    """
    times: Mapping[str, datetime | None] = {
        name: query.time(f"inserted_at.{name}") for name in ("gt", "gte", "lt", "lte")
    }
    return MessageFilter(
        workflow=query.text("source"),
        tenant=query.text("tenant"),
        has_tenant=query.flag("has_tenant"),
        categories=query.texts("workflow_categories"),
        data=trigger_data(query.text("trigger_data")),
        job_id=query.text("workflow_run_id"),
        since=_latest(times["gte"], _after(times["gt"])),
        until=_earliest(times["lt"], _after(times["lte"])),
    )


def trigger_data(text: str | None) -> Mapping[str, Any] | None:
    """The JSON object in the text.

    Raises:
        ApiError: 422, it is none.
    """
    if text is None:
        return None
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise invalid([Problem("trigger_data", "must be a JSON object")])
    return value


def _after(time: datetime | None) -> datetime | None:
    return None if time is None else time + _MICROSECOND


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
