"""Every kind of job, as a frozen model. A job is one request for a change; `Job` is the union of all kinds.

A job never changes once it is made: its `id` identifies it, and it happened at `occurred_at` (microseconds since 1970,
UTC). The meaning of each kind is defined by the rules in `tests/README.md`, whose numbers the docstrings give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    InstanceOf,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.fields import (
    Device,
    JobId,
    JsonObject,
    Key,
    ParsedJson,
    PreferenceChanges,
    PreferenceSettings,
    Token,
    Traits,
    UserId,
    are_plain_traits,
    is_plain_id,
    reject,
)
from rollbook_shared.jobs.plain_users import PlainUsers, plain_users
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.limits import HARD_BULK_USERS, HARD_MESSAGES, HARD_RECIPIENTS

MAX_TIMESTAMP: Final = 1 << 55
"""Microseconds since 1970; every timestamp is earlier. In the year 3111."""

UserIds = Annotated[tuple[UserId, ...], Field(min_length=1, max_length=HARD_BULK_USERS)]


_Model = TypeVar("_Model", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserUpdate(_Frozen):
    """New data of one user. Keys that are not in `traits` keep their values; `null` is a value. Rules 2 to 4.

    `traits` holds attributes and properties, flat; `preferences` are by set id, `channel_data` by channel id.
    """

    id: UserId
    # default factories cost nothing; pydantic would deep-copy a `{}` for each user, which doubles the time
    traits: Traits = Field(default_factory=dict)
    preferences: dict[Key, PreferenceSettings] = Field(default_factory=dict)
    channel_data: dict[Key, JsonObject] = Field(default_factory=dict)


def _plain_user(parsed: object) -> UserUpdate | None:
    """The user, if nothing about it needs a closer look; None: validation decides.

    Only of a parsed job whose texts can be stored. Nearly all users of bulk jobs are plain, and pydantic would take
    twice as long: it calls a function for each field, and copies the fields.
    """
    if type(parsed) is not dict or parsed.keys() != _USER_FIELDS:
        return None
    if not is_plain_id(parsed["id"]) or parsed["preferences"] != {} or parsed["channel_data"] != {}:
        return None
    if not are_plain_traits(parsed["traits"]):
        return None
    return user_of_fields(parsed)


def user_of_fields(fields: dict[str, Any]) -> UserUpdate:
    """The user with these fields, which are all of them, and valid; the user keeps them."""
    return _of_fields(UserUpdate, fields, _USER_FIELDS)


def _of_fields(model: type[_Model], fields: dict[str, Any], given: set[str]) -> _Model:
    """What `model_construct` does, without its loop over the fields. `given`: the names of those that were sent."""
    made = _new(model)
    _set_fields(made, fields)
    _set_fields_set(made, given)
    _set_extra(made, None)
    _set_private(made, None)
    return made


def _user_of_traits(user_id: str, traits: dict[str, Any]) -> UserUpdate:
    return user_of_fields({"id": user_id, "traits": traits, "preferences": {}, "channel_data": {}})


_USER_FIELDS: Final = set(UserUpdate.model_fields)
_new: Final = object.__new__
_set_fields, _set_fields_set, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


class _Job(_Frozen):
    id: JobId
    occurred_at: Annotated[int, Field(strict=True, ge=0, lt=MAX_TIMESTAMP)]
    deferred: Annotated[bool, Field(strict=True)] = False
    """The job takes effect at `occurred_at` and not before. Without it an `occurred_at` slightly in the future comes
    from an inaccurate clock, and the job is applied at once.
    """
    requested_at: Annotated[int, Field(strict=True, ge=0, lt=MAX_TIMESTAMP)] | None = None
    """When a deferred job was asked for: a user who was deleted after that is erased from it."""


class Identify(_Job):
    """Create the user or update it. Rule 3."""

    kind: Literal["identify"] = "identify"
    user: UserUpdate

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user.id,)


def plain_identify(parsed: dict[str, Any]) -> Identify | None:
    """The job, if nothing about it needs a closer look; None: validation decides.

    parsed: with its version, which is known; its texts can be stored.
    """
    if parsed.keys() != _IDENTIFY_KEYS:
        return None
    id_, occurred_at = parsed["id"], parsed["occurred_at"]
    if not (
        type(id_) is str and JOB_ID.fullmatch(id_) and type(occurred_at) is int and 0 <= occurred_at < MAX_TIMESTAMP
    ):
        return None
    if (user := _plain_user(parsed["user"])) is None:
        return None
    fields = {
        "id": id_,
        "occurred_at": occurred_at,
        "deferred": False,
        "requested_at": None,
        "kind": "identify",
        "user": user,
    }
    return _of_fields(Identify, fields, _IDENTIFY_FIELDS)


_IDENTIFY_FIELDS: Final = {"id", "occurred_at", "kind", "user"}
_IDENTIFY_KEYS: Final = _IDENTIFY_FIELDS | {"v"}

# left to right: otherwise pydantic tries every branch of the union for each user
_UpdateOrProblem = Annotated[UserUpdate | InstanceOf[Problem], Field(union_mode="left_to_right")]
if TYPE_CHECKING:
    _Users = Sequence[UserUpdate | Problem]
else:
    _Users = Annotated[tuple[_UpdateOrProblem, ...], Field(min_length=1, max_length=HARD_BULK_USERS)]


class BulkIdentify(_Job):
    """Identify many users. Decoding replaces an invalid user by a `Problem`; the valid ones are applied. Rule 5."""

    kind: Literal["bulk_identify"] = "bulk_identify"
    users: _Users
    """A tuple, or `PlainUsers` where the job was decoded and all of them are plain."""
    timestamps: tuple[Annotated[int, Field(strict=True, ge=0)], ...] = ()
    """When each update occurred, none after `occurred_at`, if they were gathered over some time. Empty: all of them at
    `occurred_at`.
    """

    @field_validator("users", mode="wrap")
    @classmethod
    def _reject_one_by_one(cls, users: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if info.context is not None and info.context.texts_are_storable and isinstance(users, list):
            if len(users) <= HARD_BULK_USERS and (plain := plain_users(users, _user_of_traits)):
                return plain
            users = [_plain_user(user) or user for user in users]
        try:
            return handler(users)
        except ValidationError:
            if info.context is None or not isinstance(users, list):
                raise
        return handler([_update_or_problem(index, user, info.context) for index, user in enumerate(users)])

    @model_validator(mode="after")
    def _check_timestamps(self) -> BulkIdentify:
        if self.timestamps and len(self.timestamps) != len(self.users):
            reject("must be one for each user", "timestamps")
        if self.timestamps and max(self.timestamps) > self.occurred_at:
            reject("must not be after occurred_at", "timestamps")
        return self

    def timestamp_of(self, index: int) -> int:
        """When the update of the user at this index occurred, in microseconds since 1970."""
        return self.timestamps[index] if self.timestamps else self.occurred_at

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The users that are not rejected, in the job's order."""
        if isinstance(self.users, PlainUsers):
            return tuple(self.users.ids)
        return tuple(user.id for user in self.users if isinstance(user, UserUpdate))

    @property
    def problems(self) -> list[Problem]:
        """Why users are rejected, in the job's order."""
        if isinstance(self.users, PlainUsers):
            return []
        return [user for user in self.users if isinstance(user, Problem)]


class Delete(_Job):
    """Delete the user. Rules 7 to 11."""

    kind: Literal["delete"] = "delete"
    user_id: UserId

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class BulkDelete(_Job):
    """Delete many users, each as `Delete` does."""

    kind: Literal["bulk_delete"] = "bulk_delete"
    user_ids: UserIds


class Merge(_Job):
    """Make the secondary a part of the primary. Rules 12 to 17.

    With `keep_opt_outs` an opt-out of either user stands; with `merge_tokens` the primary gets the push tokens of both
    for each channel.
    """

    kind: Literal["merge"] = "merge"
    primary_id: UserId
    secondary_id: UserId
    keep_opt_outs: Annotated[bool, Field(strict=True)] = False
    merge_tokens: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _two_users(self) -> Merge:
        if self.primary_id == self.secondary_id:
            reject("must not be the primary itself", "secondary_id")
        return self

    @property
    def user_ids(self) -> tuple[str, ...]:
        """Both users, the primary first."""
        return (self.primary_id, self.secondary_id)


class SetPreferences(_Job):
    """Replace one preference set of a user: `default`, or a tenant's. Rule 19."""

    kind: Literal["set_preferences"] = "set_preferences"
    user_id: UserId
    set_id: Key
    settings: PreferenceSettings

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class UpdatePreferences(_Job):
    """Change keys of one preference set of a user; each workflow, category and channel type is a value of its own.
    Rule 30.
    """

    kind: Literal["update_preferences"] = "update_preferences"
    user_id: UserId
    set_id: Key
    changes: PreferenceChanges

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class UnsetPreferences(_Job):
    """Remove one preference set of a user. Rule 19."""

    kind: Literal["unset_preferences"] = "unset_preferences"
    user_id: UserId
    set_id: Key

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class BulkSetPreferences(_Job):
    """Replace one preference set of many users, each as `SetPreferences` does."""

    kind: Literal["bulk_set_preferences"] = "bulk_set_preferences"
    user_ids: UserIds
    set_id: Key
    settings: PreferenceSettings


class SetChannelData(_Job):
    """Replace the data that is needed to reach a user on one channel. Rule 20."""

    kind: Literal["set_channel_data"] = "set_channel_data"
    user_id: UserId
    channel_id: Key
    data: JsonObject

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class UnsetChannelData(_Job):
    """Remove a user's data of one channel. Rule 20."""

    kind: Literal["unset_channel_data"] = "unset_channel_data"
    user_id: UserId
    channel_id: Key

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class AddPushToken(_Job):
    """Add a push token to a user's data of one channel; each token is a value of its own. Rule 31."""

    kind: Literal["add_push_token"] = "add_push_token"
    user_id: UserId
    channel_id: Key
    token: Token
    device: Device | None = None

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class RemovePushToken(_Job):
    """Remove a push token from a user's data of one channel. Rule 31."""

    kind: Literal["remove_push_token"] = "remove_push_token"
    user_id: UserId
    channel_id: Key
    token: Token

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


def _named_or_inline(recipient: object) -> str:
    is_id = type(recipient) is str  # asked first: the abstract class takes longer
    return "named" if is_id or not isinstance(recipient, (Mapping, UserUpdate)) else "inline"


Recipient = Annotated[
    Annotated[UserId, Tag("named")] | Annotated[UserUpdate, Tag("inline")],
    Discriminator(_named_or_inline),
]
"""A user given by id, or identified inline."""


class Trigger(_Job):
    """Start a workflow: one activity per recipient, one message per recipient and channel. Rules 8 and 21."""

    kind: Literal["trigger"] = "trigger"
    workflow: Key
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1, max_length=HARD_RECIPIENTS)]
    actor: Recipient | None = None
    data: JsonObject = {}
    tenant: Key | None = None
    categories: Annotated[tuple[Key, ...], Field(max_length=100)] = ()
    channels: Annotated[tuple[Key, ...], Field(min_length=1, max_length=100)] = ("in_app",)

    @model_validator(mode="after")
    def _check_messages(self) -> Trigger:
        if (messages := self.message_count) > HARD_MESSAGES:
            reject(f"would make {messages:,} messages; at most {HARD_MESSAGES:,} are allowed", "recipients")
        return self

    @property
    def message_count(self) -> int:
        """How many messages it makes: one for each recipient and channel, however often they are named."""
        recipients = {user.id if isinstance(user, UserUpdate) else user for user in self.recipients}
        return len(recipients) * len(set(self.channels))

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The recipients, then the actor if there is one; named by id or inline."""
        users = self.recipients if self.actor is None else (*self.recipients, self.actor)
        return tuple(user.id if isinstance(user, UserUpdate) else user for user in users)


Engagement = Literal["seen", "unseen", "read", "unread", "interacted", "archived", "unarchived"]
"""What a recipient did with a message, or the opposite; `interacted` sets `read` as well, and has no opposite."""


class Mark(_Job):
    """Set or clear an engagement of messages; a message that does not exist yet gets it when it comes. Rules 22 and 33.

    With `user_id`, it counts only for messages that belong to the user that this id stands for.
    """

    kind: Literal["mark"] = "mark"
    message_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=1_000)]
    engagement: Engagement
    user_id: UserId | None = None

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The user whose messages they must be, if the job names one."""
        return () if self.user_id is None else (self.user_id,)


class MarkAll(_Job):
    """Set or clear an engagement of all messages on one channel that the user had by then. Rule 34."""

    kind: Literal["mark_all"] = "mark_all"
    user_id: UserId
    channel: Key
    engagement: Engagement

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


Job = Annotated[
    Identify
    | BulkIdentify
    | Delete
    | BulkDelete
    | Merge
    | SetPreferences
    | UpdatePreferences
    | UnsetPreferences
    | BulkSetPreferences
    | SetChannelData
    | UnsetChannelData
    | AddPushToken
    | RemovePushToken
    | Trigger
    | Mark
    | MarkAll,
    Field(discriminator="kind"),
]
"""A job of any kind; for mypy a union, to `match` on with `assert_never`. `user_ids` are the users that it names."""

MODELS: Final[Mapping[str, type[Job]]] = MappingProxyType(
    {model.model_fields["kind"].default: model for model in get_args(get_args(Job)[0])}
)
"""The model of each kind."""
KINDS: Final = tuple(MODELS)
"""The names of all kinds. The name of a kind's task is `rollbook.` and the kind."""


def _update_or_problem(index: int, user: object, context: ParsedJson) -> UserUpdate | Problem:
    try:
        return UserUpdate.model_validate(user, context=context)
    except ValidationError as error:
        first = problems_of(error)[0]
        return Problem(f"users[{index}].{first.field}".rstrip("."), first.reason, index)
