"""The field types that jobs are made of. Each refuses what the rules refuse, with a reason a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    StrictBool,
    StrictStr,
    ValidationInfo,
    with_config,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED, attribute_problem
from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.json_values import deep_copy, is_storable, text_problem, value_problem
from rollbook_shared.limits import USER_ID_CHARACTERS

_SPECIAL: Final = ATTRIBUTES | RESERVED


@dataclass(frozen=True, slots=True)
class Parsed:
    """The validation context of a job that was parsed from JSON: nobody else holds its values, so they need no copy.

    Bad users of a bulk job are rejected one by one, rather than the job.
    """

    texts_are_good: bool
    """No text in it holds what cannot be stored, which the parser has seen already."""


def refuse(reason: str, path: str = "") -> NoReturn:
    """Fail validation with our own reason; `path` leads from the validated field to the culprit inside it."""
    raise PydanticCustomError("rule", "{reason}", {"reason": reason, "path": path})


def _user_id(text: str) -> str:
    if not text:
        refuse("must not be empty")
    if len(text) > USER_ID_CHARACTERS:
        refuse(f"must be at most {USER_ID_CHARACTERS} characters")
    if "/" in text or "#" in text:
        refuse("must not contain / or #")
    if reason := text_problem(text):
        refuse(reason)
    return text


def _key(text: str) -> str:
    if not text:
        refuse("must not be empty")
    if len(text) > USER_ID_CHARACTERS:
        refuse(f"must be at most {USER_ID_CHARACTERS} characters")
    if reason := text_problem(text):
        refuse(reason)
    return text


def _job_id(text: str) -> str:
    if not JOB_ID.fullmatch(text):
        refuse("must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return text


def _json_object(value: object, info: ValidationInfo) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse("must be an object")
    parsed: Parsed | None = info.context
    if not is_storable(value, texts_are_good=parsed is not None and parsed.texts_are_good) and (
        problem := value_problem(value, "")
    ):
        path, reason = problem
        refuse(reason, path)
    copy: dict[str, Any] = value if parsed else deep_copy(value)
    return copy


def _traits(value: object, info: ValidationInfo) -> dict[str, Any]:
    traits = _json_object(value, info)
    for name in traits:
        if name in _SPECIAL:
            if name in RESERVED:
                refuse("is a reserved name, not a property", f".{name}")
            if (value := traits[name]) is not None and (reason := attribute_problem(name, value)):
                refuse(reason, f".{name}")
    return traits


UserId = Annotated[StrictStr, AfterValidator(_user_id)]
"""The application's own id of a user: 1 to 256 characters without `/` or `#`."""
Key = Annotated[StrictStr, AfterValidator(_key)]
"""A name of the application's choosing: of a workflow, tenant, preference set, channel."""
JobId = Annotated[StrictStr, AfterValidator(_job_id)]
"""The idempotency key of a job."""
JsonObject = Annotated[dict[str, Any], PlainValidator(_json_object)]
"""An object of values that can be stored and read back the same."""
Traits = Annotated[dict[str, Any], PlainValidator(_traits)]
"""Known attributes (checked by name) and properties, flat as the application sends them; only keys that were sent."""


@with_config(ConfigDict(extra="forbid"))
class ChannelTypes(TypedDict):
    """The refinement of one workflow's or category's setting by channel type."""

    channel_types: dict[str, StrictBool]


@with_config(ConfigDict(extra="forbid"))
class Settings(TypedDict, total=False):
    """A preference set: what the user wants to hear of, by workflow, by category, by channel type. Absent means yes."""

    workflows: dict[str, StrictBool | ChannelTypes]
    categories: dict[str, StrictBool | ChannelTypes]
    channel_types: dict[str, StrictBool]


PreferenceSettings = Annotated[Settings, BeforeValidator(_json_object)]
"""A preference set whose values can be stored."""
