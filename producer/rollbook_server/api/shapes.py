"""The JSON of answers, as types, and how models become it. Names and nesting are Knock's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from rollbook.models import User

_OPEN: Final = ConfigDict(extra="allow")

UserBody = TypedDict(
    "UserBody",
    {
        "__typename": Literal["User"],
        "id": str,
        "email": NotRequired[str | None],
        "name": NotRequired[str | None],
        "avatar": NotRequired[str | None],
        "phone_number": NotRequired[str | None],
        "locale": NotRequired[str | None],
        "timezone": NotRequired[str | None],
        "created_at": NotRequired[str | None],
        "updated_at": str,
    },
)
"""A user; its properties stand beside its attributes."""
UserBody.__pydantic_config__ = _OPEN  # type: ignore[attr-defined]

PageInfo = TypedDict(
    "PageInfo",
    {"__typename": Literal["PageInfo"], "after": str | None, "before": str | None, "page_size": int},
)
"""Where a page stands in its list."""


class UserPage(TypedDict):
    """A page of users."""

    entries: list[UserBody]
    page_info: PageInfo


class ProblemBody(TypedDict):
    """One thing that is wrong with a request."""

    field: str
    message: str
    index: NotRequired[int]


class ErrorBody(TypedDict):
    """What every error has."""

    code: str
    message: str
    status: int
    type: str
    errors: NotRequired[list[ProblemBody]]


def user_as_json(user: User) -> dict[str, Any]:
    """The user as `UserBody`."""
    return {
        **user.properties,
        "__typename": "User",
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "avatar": user.avatar,
        "phone_number": user.phone_number,
        "locale": user.locale,
        "timezone": user.timezone,
        "created_at": None if user.created_at is None else time_as_json(user.created_at),
        "updated_at": time_as_json(user.updated_at),
    }


def sent_user_as_json(user_id: str, traits: Mapping[str, Any], occurred_at: datetime) -> dict[str, Any]:
    """What a request sent of a user, as `UserBody`: the answer while no worker has applied it."""
    sent = {name: value for name, value in traits.items() if name not in ("preferences", "channel_data")}
    return {**sent, "__typename": "User", "id": user_id, "updated_at": time_as_json(occurred_at)}


def page_info_as_json(*, after: str | None, before: str | None, size: int) -> dict[str, Any]:
    """Where the page stands, as `PageInfo`."""
    return {"__typename": "PageInfo", "after": after, "before": before, "page_size": size}


def time_as_json(time: datetime) -> str:
    """The time in UTC, in ISO 8601."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
