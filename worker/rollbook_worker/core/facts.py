"""The facts that jobs consist of, each with the register that it fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from rollbook_shared.domain.stamps import Stamp
from rollbook_shared.json_values import decode_json

RegisterKey = tuple[str, ...]
"""What a fact is the newest value of: of two facts with one register key, the one with the smaller stamp is dropped."""


class ProfileKeySet(NamedTuple):
    """A key of a user's profile was given a value; `key` in its stored form, `p.plan`. For a preference set (`s.`) or
    channel data (`c.`), None removes the key.
    """

    stamp: Stamp
    user_id: str
    key: str
    value: Any

    @property
    def register_key(self) -> RegisterKey:
        """The user's key; each version of a preference set has a register of its own."""
        # every version is kept: the settings that applied when a trigger ran decide on its messages
        if self.key[0] == "s":
            return ("profile key", self.user_id, self.key, self.stamp)
        return ("profile key", self.user_id, self.key)


class PreferencesUpdated(NamedTuple):
    """Keys of a preference set were changed; `changes` as in the job."""

    stamp: Stamp
    user_id: str
    set_id: str
    changes: dict[str, Any]

    @property
    def register_key(self) -> RegisterKey:
        """Each has its own, as each version of a preference set has."""
        return ("preferences updated", self.user_id, self.set_id, self.stamp)


class PushTokenChanged(NamedTuple):
    """A push token was added to the data of a channel, perhaps with its device, or removed from it."""

    stamp: Stamp
    user_id: str
    channel_id: str
    token: str
    device: dict[str, Any] | None
    is_added: bool

    @property
    def register_key(self) -> RegisterKey:
        """Each has its own: it may be what gave the user data of this channel when a merge asked for it."""
        return ("push token", self.user_id, self.channel_id, self.stamp)


class PushTokenSent(NamedTuple):
    """A user sent a push token, alone or with all data of a channel. Of the users who did, the last one gets what is
    pushed to the token.
    """

    stamp: Stamp
    user_id: str
    channel_id: str
    token: str

    @property
    def register_key(self) -> RegisterKey:
        """The token's, under this id: only the last time counts."""
        return ("push token sent", self.user_id, self.channel_id, self.token)


class UserIdentified(NamedTuple):
    """A user was identified, and so exists from then on."""

    stamp: Stamp
    user_id: str

    @property
    def register_key(self) -> RegisterKey:
        """Each identify has its own: whether a user existed when a trigger ran decides on its messages."""
        return ("identified", self.user_id, self.stamp)


class UserUpdated(NamedTuple):
    """A user was identified with several keys at once: one `UserIdentified`, and a `ProfileKeySet` for each key.

    Nearly all facts come in this form, and the store writes it without taking it apart.
    """

    stamp: Stamp
    user_id: str
    profile: dict[str, Any]
    """By stored key; without preference sets, each of which is a fact of its own."""

    def facts(self) -> Iterator[UserIdentified | ProfileKeySet]:
        """The facts that it stands for."""
        yield UserIdentified(self.stamp, self.user_id)
        for key, value in self.profile.items():
            yield ProfileKeySet(self.stamp, self.user_id, key, value)


class UsersUpdated(NamedTuple):
    """Users were updated by one job, each as by a `UserUpdated`. Nearly all bulk jobs come in this form, and the store
    writes it without making an object for each user.
    """

    stamp: Stamp
    """The earliest of them."""
    stamps: Sequence[Stamp]
    user_ids: Sequence[str]
    profiles: Sequence[bytes]
    """By stored key, as JSON; attributes and properties only."""

    def updates(self) -> Iterator[UserUpdated]:
        """The facts that it stands for."""
        for stamp, user_id, profile in zip(self.stamps, self.user_ids, self.profiles, strict=True):
            yield UserUpdated(stamp, user_id, decode_json(profile))


class UserDeleted(NamedTuple):
    """A user was deleted."""

    stamp: Stamp
    user_id: str

    @property
    def register_key(self) -> RegisterKey:
        """Its own: all deletes and merges are kept."""
        return ("lifecycle", self.stamp)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The ids that it names."""
        return (self.user_id,)


class UsersMerged(NamedTuple):
    """The secondary was merged into the primary; perhaps with the opt-outs and push tokens of both."""

    stamp: Stamp
    secondary_id: str
    primary_id: str
    keep_opt_outs: bool = False
    merge_tokens: bool = False

    @property
    def register_key(self) -> RegisterKey:
        """Its own: all deletes and merges are kept."""
        return ("lifecycle", self.stamp)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """The ids that it names."""
        return (self.secondary_id, self.primary_id)


LifecycleEvent = UserDeleted | UsersMerged


class WorkflowTriggered(NamedTuple):
    """A workflow was triggered; what all its activities and messages share."""

    stamp: Stamp
    job_id: str
    workflow: str
    actor: str | None
    tenant: str | None
    categories: tuple[str, ...]
    data: dict[str, Any]

    @property
    def register_key(self) -> RegisterKey:
        """The job's."""
        return ("triggered", self.job_id)


class ActivityCreated(NamedTuple):
    """A trigger named a recipient, by the id as addressed."""

    stamp: Stamp
    id: UUID
    job_id: str
    recipient: str

    @property
    def register_key(self) -> RegisterKey:
        """Its own: it never changes."""
        return ("activity", str(self.id))


class MessageCreated(NamedTuple):
    """A recipient, by the id as addressed, was notified on a channel."""

    stamp: Stamp
    id: UUID
    job_id: str
    recipient: str
    channel: str

    @property
    def register_key(self) -> RegisterKey:
        """Its own: it never changes."""
        return ("message", str(self.id))


class EngagementChanged(NamedTuple):
    """An engagement (seen, read, interacted, archived) of a message was set or cleared: by the user that `user_id`
    stood for, and then it counts for messages of that user only; or by the application, for any message.
    """

    stamp: Stamp
    message_id: UUID
    engagement: str
    is_set: bool
    user_id: str | None = None

    @property
    def register_key(self) -> RegisterKey:
        """The message's engagement, set or cleared, for each id that it was done under: another user's never counts."""
        return ("engagement", str(self.message_id), self.engagement, self.user_id or "")


class ChannelEngagementChanged(NamedTuple):
    """An engagement was set or cleared of all messages on a channel that the user had by then."""

    stamp: Stamp
    user_id: str
    channel: str
    engagement: str
    is_set: bool

    @property
    def register_key(self) -> RegisterKey:
        """The engagement on the channel under this id."""
        return ("channel engagement", self.user_id, self.channel, self.engagement)


Fact = (
    ProfileKeySet
    | PreferencesUpdated
    | PushTokenChanged
    | PushTokenSent
    | UserIdentified
    | UserDeleted
    | UsersMerged
    | WorkflowTriggered
    | ActivityCreated
    | MessageCreated
    | EngagementChanged
    | ChannelEngagementChanged
)
"""What a job says, in its smallest parts. Each has a stamp; in each register the newest fact is kept."""
Facts = Fact | UserUpdated | UsersUpdated
"""A fact, or several in one."""
