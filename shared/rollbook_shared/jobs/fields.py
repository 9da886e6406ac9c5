"""The types of the fields of jobs. Each rejects what the rules forbid, with a reason that says what to change."""

from __future__ import annotations

import math
import re
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

from rollbook_shared.domain.attributes import (
    ATTRIBUTES,
    COMMON,
    COMMON_CHARACTERS,
    RESERVED,
    attribute_problem,
)
from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.json_values import (
    COMMON_INTEGERS,
    deep_copy,
    find_text_problem,
    find_value_problem,
    is_storable,
    printable,
)
from rollbook_shared.limits import NESTING, TOKEN_CHARACTERS, USER_ID_CHARACTERS

USER_ID: Final = re.compile(f"[^/#\0\ud800-\udfff]{{1,{USER_ID_CHARACTERS}}}")
"""What an id of a user looks like. `UserId` says of others why they are none."""
_DEVICE: Final = ("locale", "timezone")
_SPECIAL: Final = ATTRIBUTES | RESERVED


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """Validation context of a job that was parsed from JSON. Its values belong to the job alone and need no copy.

    Invalid users of a bulk job are rejected one by one, and not the whole job.
    """

    texts_are_storable: bool
    """The parser has checked already that every text in it can be stored."""


def reject(reason: str, path: str = "") -> NoReturn:
    """Fail validation with a reason of ours; `path` leads from the validated field to the invalid part of it."""
    raise PydanticCustomError("rule", "{reason}", {"reason": reason, "path": path})


def _user_id(text: str) -> str:
    if USER_ID.fullmatch(text):
        return text
    if not text:
        reject("must not be empty")
    if len(text) > USER_ID_CHARACTERS:
        reject(f"must be at most {USER_ID_CHARACTERS} characters")
    if "/" in text or "#" in text:
        reject("must not contain / or #")
    if reason := find_text_problem(text):
        reject(reason)
    return text


def _key(text: str) -> str:
    if not text:
        reject("must not be empty")
    if len(text) > USER_ID_CHARACTERS:
        reject(f"must be at most {USER_ID_CHARACTERS} characters")
    if reason := find_text_problem(text):
        reject(reason)
    return text


def _job_id(text: str) -> str:
    if not JOB_ID.fullmatch(text):
        reject("must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return text


def _json_object(value: object, info: ValidationInfo) -> dict[str, Any]:
    if not isinstance(value, dict):
        reject("must be an object")
    parsed: ParsedJson | None = info.context
    if not is_storable(value, texts_are_storable=parsed is not None and parsed.texts_are_storable) and (
        problem := find_value_problem(value, "")
    ):
        path, reason = problem
        reject(reason, path)
    copy: dict[str, Any] = value if parsed else deep_copy(value)
    return copy


def is_plain_id(value: object) -> bool:
    """Whether this value is certainly a valid user id, if its text can be stored. If False, validation decides, and
    says why not.
    """
    return type(value) is str and 0 < len(value) <= USER_ID_CHARACTERS and "/" not in value and "#" not in value


def are_plain_traits(value: object) -> bool:
    """The same of traits whose keys are texts. It looks at each value once, and takes half the time of validation."""
    if type(value) is not dict:
        return False
    for name, item in value.items():
        kind = type(item)
        if name in _SPECIAL:
            match = COMMON.get(name)
            if match is not None and kind is str and len(item) <= COMMON_CHARACTERS and match(item):
                continue
            if name in RESERVED or (item is not None and attribute_problem(name, item)):
                return False
        elif kind is str or kind is bool or item is None:
            continue
        elif kind is int:
            if not -COMMON_INTEGERS < item < COMMON_INTEGERS:
                return False
        elif kind is float:
            if not math.isfinite(item):
                return False
        elif not (kind is dict or kind is list) or not is_storable(item, texts_are_storable=True, levels=NESTING - 1):
            return False
    return True


def _traits(value: object, info: ValidationInfo) -> dict[str, Any]:
    traits = _json_object(value, info)
    for name, item in traits.items():
        if name not in _SPECIAL:
            continue
        if name in RESERVED:
            reject("is a reserved name, not a property", f".{name}")
        if item is not None and not is_common(name, item) and (reason := attribute_problem(name, item)):
            reject(reason, f".{name}")
    return traits


def is_common(name: str, value: object) -> bool:
    """Whether the value looks as nearly all valid values of the attribute do. If False, `attribute_problem` decides."""
    match = COMMON.get(name)
    return match is not None and type(value) is str and len(value) <= COMMON_CHARACTERS and match(value) is not None


def _token(text: str) -> str:
    if not text:
        reject("must not be empty")
    if len(text) > TOKEN_CHARACTERS:
        reject(f"must be at most {TOKEN_CHARACTERS} characters")
    if reason := find_text_problem(text):
        reject(reason)
    return text


def _device(value: object) -> dict[str, str | None]:
    if not isinstance(value, dict):
        reject("must be an object")
    for name, field in value.items():
        if name not in _DEVICE:
            reject("is not a known field", f".{printable(str(name))}")
        if field is not None and (reason := attribute_problem(name, field)):
            reject(reason, f".{name}")
    return {name: value.get(name) for name in _DEVICE}


UserId = Annotated[StrictStr, AfterValidator(_user_id)]
"""The application's own id of a user: 1 to 256 characters without `/` or `#`."""
Key = Annotated[StrictStr, AfterValidator(_key)]
"""A name that the application chooses: of a workflow, a tenant, a preference set or a channel."""
Token = Annotated[StrictStr, AfterValidator(_token)]
"""What a push service knows a device by."""
Device = Annotated[dict[str, str | None], PlainValidator(_device)]
"""What is known of a device: its `locale` and its `timezone`; what is not is None."""
JobId = Annotated[StrictStr, AfterValidator(_job_id)]
"""The idempotency key of a job."""
JsonObject = Annotated[dict[str, Any], PlainValidator(_json_object)]
"""An object whose values can be stored and read back unchanged."""
Traits = Annotated[dict[str, Any], PlainValidator(_traits)]
"""Attributes (checked by name) and properties, flat as the application sends them; only keys that were sent."""


@with_config(ConfigDict(extra="forbid"))
class ChannelTypes(TypedDict):
    """The setting of one workflow or category by channel type."""

    channel_types: dict[str, StrictBool]


@with_config(ConfigDict(extra="forbid"))
class PreferenceSet(TypedDict, total=False):
    """A preference set: the user's settings by workflow, category and channel type. A missing setting means yes."""

    workflows: dict[str, StrictBool | ChannelTypes]
    categories: dict[str, StrictBool | ChannelTypes]
    channel_types: dict[str, StrictBool]


@with_config(ConfigDict(extra="forbid"))
class PreferenceSetChanges(TypedDict, total=False):
    """Changes of a preference set, key by key. A key that is None is removed; a key that is missing stays as it is."""

    workflows: dict[str, StrictBool | ChannelTypes | None]
    categories: dict[str, StrictBool | ChannelTypes | None]
    channel_types: dict[str, StrictBool | None]


PreferenceSettings = Annotated[PreferenceSet, BeforeValidator(_json_object)]
"""A preference set whose values can be stored."""
PreferenceChanges = Annotated[PreferenceSetChanges, BeforeValidator(_json_object)]
"""Changes of a preference set whose values can be stored."""
