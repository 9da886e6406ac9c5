"""Every kind of job, as a frozen model. One job is one request for a change; all kinds together are `Job`.

A job never changes once it is made: its `id` says which job it is, `occurred_at` (microseconds since 1970, UTC) when
it happened. What each kind means is said by the rules of `tests/README.md`, whose numbers stand here, and by the fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args
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

from rollbook_shared.errors import Problem
from rollbook_shared.jobs.fields import JobId, JsonObject, Key, Parsed, PreferenceSettings, Traits, UserId, refuse
from rollbook_shared.jobs.problems import problems_of
from rollbook_shared.limits import HARD_BULK_USERS, HARD_RECIPIENTS

LAST_MOMENT: Final = 1 << 55
"""Microseconds since 1970 that no job reaches: in the year 3111."""

Users = Annotated[tuple[UserId, ...], Field(min_length=1, max_length=HARD_BULK_USERS)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserUpdate(_Frozen):
    """What is told about one user. Keys that are not in `traits` stay as they are; `null` is a value. Rules 2 to 4.

    `traits` holds attributes and properties, flat; `preferences` are by set id, `channel_data` by channel id.
    """

    id: UserId
    # by factories, which cost nothing; of a `{}` here each user gets a deep copy, for as much as all the rest
    traits: Traits = Field(default_factory=dict)
    preferences: dict[Key, PreferenceSettings] = Field(default_factory=dict)
    channel_data: dict[Key, JsonObject] = Field(default_factory=dict)


class _Job(_Frozen):
    id: JobId
    occurred_at: Annotated[int, Field(strict=True, ge=0, lt=LAST_MOMENT)]
    deferred: Annotated[bool, Field(strict=True)] = False
    """Asked to take effect at `occurred_at` and not before. Without it a stamp a little ahead is a clock that is off,
    and the job is applied at once.
    """


class Identify(_Job):
    """Create the user or update it. Rule 3."""

    kind: Literal["identify"] = "identify"
    user: UserUpdate

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user.id,)


# in this order: else pydantic looks at every branch of the union for each user
_UpdateOrProblem = Annotated[UserUpdate | InstanceOf[Problem], Field(union_mode="left_to_right")]


class BulkIdentify(_Job):
    """Identify many users. A bad one is a `Problem` at its place (when decoded), and never hurts the good ones.
    Rule 5.
    """

    kind: Literal["bulk_identify"] = "bulk_identify"
    users: Annotated[tuple[_UpdateOrProblem, ...], Field(min_length=1, max_length=HARD_BULK_USERS)]
    timestamps: tuple[Annotated[int, Field(strict=True, ge=0)], ...] = ()
    """When each user was told of, none after `occurred_at`, where they were gathered over a while; empty: all at
    `occurred_at`.
    """

    @field_validator("users", mode="wrap")
    @classmethod
    def _refuse_one_by_one(cls, users: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return handler(users)
        except ValidationError:
            if info.context is None or not isinstance(users, list):
                raise
        return handler([_update_or_problem(index, user, info.context) for index, user in enumerate(users)])

    @model_validator(mode="after")
    def _check_timestamps(self) -> BulkIdentify:
        if self.timestamps and len(self.timestamps) != len(self.users):
            refuse("must be one for each user", "timestamps")
        if self.timestamps and max(self.timestamps) > self.occurred_at:
            refuse("must not be after occurred_at", "timestamps")
        return self

    def timestamp_of(self, index: int) -> int:
        """When the update of the user at this index occurred, in microseconds since 1970."""
        return self.timestamps[index] if self.timestamps else self.occurred_at

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The users that are not rejected, in the job's order."""
        return tuple(user.id for user in self.users if isinstance(user, UserUpdate))


class Delete(_Job):
    """End the user. Rules 7 to 11."""

    kind: Literal["delete"] = "delete"
    user_id: UserId

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class BulkDelete(_Job):
    """End many users, each as `Delete` does."""

    kind: Literal["bulk_delete"] = "bulk_delete"
    user_ids: Users


class Merge(_Job):
    """Make the secondary a part of the primary.

    With `keep_opt_outs` what either did not want to hear of stays unwanted; with `merge_tokens` push tokens of one
    channel are put together. Rules 12 to 17.
    """

    kind: Literal["merge"] = "merge"
    primary_id: UserId
    secondary_id: UserId
    keep_opt_outs: Annotated[bool, Field(strict=True)] = False
    merge_tokens: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _two_users(self) -> Merge:
        if self.primary_id == self.secondary_id:
            refuse("must not be the primary itself", "secondary_id")
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


class UnsetPreferences(_Job):
    """Take one preference set from a user. Rule 19."""

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
    user_ids: Users
    set_id: Key
    settings: PreferenceSettings


class SetChannelData(_Job):
    """Replace what is needed to reach a user on one channel. Rule 20."""

    kind: Literal["set_channel_data"] = "set_channel_data"
    user_id: UserId
    channel_id: Key
    data: JsonObject

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


class UnsetChannelData(_Job):
    """Take one channel's data from a user. Rule 20."""

    kind: Literal["unset_channel_data"] = "unset_channel_data"
    user_id: UserId
    channel_id: Key

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The one user."""
        return (self.user_id,)


def _named_or_inline(recipient: object) -> str:
    return "inline" if isinstance(recipient, (Mapping, UserUpdate)) else "named"


Recipient = Annotated[
    Annotated[UserId, Tag("named")] | Annotated[UserUpdate, Tag("inline")],
    Discriminator(_named_or_inline),
]
"""A user named by id only, or identified inline."""


class Trigger(_Job):
    """Start a workflow: an activity per recipient, and a message per recipient and channel. Rules 8 and 21."""

    kind: Literal["trigger"] = "trigger"
    workflow: Key
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1, max_length=HARD_RECIPIENTS)]
    actor: Recipient | None = None
    data: JsonObject = {}
    tenant: Key | None = None
    categories: Annotated[tuple[Key, ...], Field(max_length=100)] = ()
    channels: Annotated[tuple[Key, ...], Field(min_length=1, max_length=100)] = ("in_app",)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The recipients, then the actor if there is one; named by id or inline."""
        users = self.recipients if self.actor is None else (*self.recipients, self.actor)
        return tuple(user.id if isinstance(user, UserUpdate) else user for user in users)


class Mark(_Job):
    """Set or clear an engagement of messages; a message that does not exist yet gets it when it comes. Rule 22."""

    kind: Literal["mark"] = "mark"
    message_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=1_000)]
    engagement: Literal["seen", "unseen", "read", "unread", "archived", "unarchived"]

    @property
    def user_ids(self) -> tuple[str, ...]:
        """None: a mark names messages, not users."""
        return ()


Job = Annotated[
    Identify
    | BulkIdentify
    | Delete
    | BulkDelete
    | Merge
    | SetPreferences
    | UnsetPreferences
    | BulkSetPreferences
    | SetChannelData
    | UnsetChannelData
    | Trigger
    | Mark,
    Field(discriminator="kind"),
]
"""A job of any kind; for mypy a union, to `match` on with `assert_never`. `user_ids` are the users that it names."""

MODELS: Final[Mapping[str, type[Job]]] = MappingProxyType(
    {model.model_fields["kind"].default: model for model in get_args(get_args(Job)[0])}
)
"""The model of each kind."""
KINDS: Final = tuple(MODELS)
"""The names of all kinds; `rollbook.` before one makes the name of its task."""


def _update_or_problem(index: int, user: object, context: Parsed) -> UserUpdate | Problem:
    try:
        return UserUpdate.model_validate(user, context=context)
    except ValidationError as error:
        first = problems_of(error)[0]
        return Problem(f"users[{index}].{first.field}".rstrip("."), first.reason, index)
