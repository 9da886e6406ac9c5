"""Preference sets of users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from rollbook.errors import UserNotFound
from rollbook.formats.knock_preferences import Conversion, convert_preferences, knock_preference_set
from rollbook_server.access.permissions import Permission
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import invalid
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_server.writes import SentWrite, write
from rollbook_shared.errors import Problem

_STRATEGY: Final = "__persistence_strategy__"
_SECTIONS: Final = ("workflows", "categories", "channel_types")


class ChannelTypesBody(TypedDict):
    """The setting of one workflow or category by channel type."""

    channel_types: dict[str, bool]


class PreferenceSetBody(TypedDict):
    """A preference set: settings by workflow, category and channel type. A missing setting means yes."""

    id: str
    workflows: dict[str, bool | ChannelTypesBody]
    categories: dict[str, bool | ChannelTypesBody]
    channel_types: dict[str, bool]


class PreferenceSettings(TypedDict, total=False):
    """The settings of a set. `__persistence_strategy__`: `replace` (the default) or `merge`, key by key."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    workflows: dict[str, Any] | None
    categories: dict[str, Any] | None
    channel_types: dict[str, Any] | None


class SubscribedBody(TypedDict):
    """Whether the user wants it, in the deprecated calls for a single key."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    subscribed: NotRequired[bool]
    channel_types: NotRequired[dict[str, bool]]


async def list_sets(call: Call) -> Answer:
    """List the preference sets of a user."""
    sets = await call.services.client.users.list_preferences(call.path["user_id"])
    return Answer(body=[knock_preference_set(set_id, settings) for set_id, settings in sets.items()])


async def get(call: Call) -> Answer:
    """Read a preference set. A set that the user has not is empty; with `tenant`, that of the tenant comes first."""
    sets = await _sets(call)
    for set_id in (call.query.text("tenant"), call.path["set_id"]):
        if set_id is not None and set_id in sets:
            return Answer(body=knock_preference_set(call.path["set_id"], sets[set_id]))
    return Answer(body=knock_preference_set(call.path["set_id"], {}))


async def set_set(call: Call) -> Answer:
    """Replace a preference set, or with `"__persistence_strategy__": "merge"` change keys of it."""
    user_id, set_id = call.path["user_id"], call.path["set_id"]
    settings, merges = convert_settings(call.body)
    users = call.services.client.users
    change = users.update_preferences if merges else users.set_preferences
    written = await write(call, lambda options: change(user_id, set_id, settings, **options))
    return await _set_answer(call, written, settings)


async def unset(call: Call) -> Answer:
    """Remove a preference set."""
    user_id, set_id = call.path["user_id"], call.path["set_id"]
    written = await write(
        call, lambda options: call.services.client.users.unset_preferences(user_id, set_id, **options)
    )
    return written.empty_answer()


async def set_section(call: Call) -> Answer:
    """Change keys of one section of a preference set: `workflows`, `categories` or `channel_types`."""
    return await _update(call, {call.path["section"]: dict(call.body)})


async def set_key(call: Call) -> Answer:
    """Change one workflow, category or channel type of a preference set."""
    value: Any = call.body
    if "subscribed" in call.body:
        value = call.body["subscribed"]
    return await _update(call, {call.path["section"]: {call.path["key"]: value}})


async def _update(call: Call, changes: dict[str, Any]) -> Answer:
    if call.path["section"] not in _SECTIONS:
        raise invalid([Problem("section", f"must be one of {', '.join(_SECTIONS)}")])
    settings, _ = convert_settings(changes)
    user_id, set_id = call.path["user_id"], call.path["set_id"]
    written = await write(
        call, lambda options: call.services.client.users.update_preferences(user_id, set_id, settings, **options)
    )
    return await _set_answer(call, written, settings)


async def _set_answer(call: Call, written: SentWrite, sent: Mapping[str, Any]) -> Answer:
    if not written.is_applied:
        return written.answer(knock_preference_set(call.path["set_id"], sent))
    sets = await _sets(call)
    return written.answer(knock_preference_set(call.path["set_id"], sets.get(call.path["set_id"], {})))


async def _sets(call: Call) -> Mapping[str, Mapping[str, Any]]:
    try:
        return await call.services.client.users.list_preferences(call.path["user_id"])
    except UserNotFound:
        return {}


def convert_settings(body: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The settings as Rollbook has them, and whether they are to be merged.

    Raises:
        ApiError: 422, a setting is not supported and could suppress a message.
    """
    strategy = body.get(_STRATEGY, "replace")
    if strategy not in ("replace", "merge"):
        raise invalid([Problem(_STRATEGY, "must be replace or merge")])
    given = {name: value for name, value in body.items() if name != _STRATEGY and value is not None}
    conversion = Conversion()
    settings = convert_preferences({"id": "default", **given, "__persistence_strategy__": "replace"}, conversion)
    if conversion.problems:
        problems = [
            Problem(problem.field.removeprefix("preferences."), problem.reason) for problem in conversion.problems
        ]
        raise invalid(problems)
    return settings["default"], strategy == "merge"


_SET: Final = "/v1/users/{user_id}/preferences/{set_id}"

ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/users/{user_id}/preferences",
        handler=list_sets,
        permission=Permission.PREFERENCES_READ,
        answer=list[PreferenceSetBody],
        tag="Preferences",
    ),
    ApiRoute(
        method="GET",
        path=_SET,
        handler=get,
        permission=Permission.PREFERENCES_READ,
        answer=PreferenceSetBody,
        query=(Parameter("tenant", "A set that comes before the one in the path.", {"type": "string"}),),
        tag="Preferences",
    ),
    ApiRoute(
        method="PUT",
        path=_SET,
        handler=set_set,
        permission=Permission.PREFERENCES_WRITE,
        body=PreferenceSettings,
        answer=PreferenceSetBody,
        writes=True,
        tag="Preferences",
    ),
    ApiRoute(
        method="DELETE",
        path=_SET,
        handler=unset,
        permission=Permission.PREFERENCES_WRITE,
        writes=True,
        tag="Preferences",
    ),
    ApiRoute(
        method="PUT",
        path=_SET + "/{section}",
        handler=set_section,
        permission=Permission.PREFERENCES_WRITE,
        body=dict[str, Any],
        answer=PreferenceSetBody,
        writes=True,
        tag="Preferences",
    ),
    ApiRoute(
        method="PUT",
        path=_SET + "/{section}/{key}",
        handler=set_key,
        permission=Permission.PREFERENCES_WRITE,
        body=SubscribedBody,
        answer=PreferenceSetBody,
        writes=True,
        tag="Preferences",
    ),
)
