"""Why a user or a message is as it is, as `explain` returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from rollbook.models.model import Model

if TYPE_CHECKING:
    from rollbook.models.delivery import DeliveryStatus

OwnerReason = Literal["addressed", "merged", "unknown", "deleted", "too_old"]
"""Why a message has the owner that it has.

- `addressed`: it was addressed to an id that stands for the owner since before.
- `merged`: it was addressed to an id of a user who was merged into the owner later.
- `unknown`: no user had the id when the trigger occurred, so no user owns it.
- `deleted`: its user was deleted since.
- `too_old`: its user was merged since, and a merge does not transfer what is so old.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedValue(Model):
    """A value that a user has now, with the job that set it."""

    section: Literal["attributes", "properties", "preferences", "channel_data"]
    """What it is part of."""
    path: tuple[str, ...]
    """The keys that lead to it, outermost first: `("address",)`, `("default", "workflows", "comment")`. A nested value
    is split only where its parts come from several jobs, or arrived under several ids.
    """
    value: Any
    """The value. An attribute may be None: a job set it to null."""
    occurred_at: datetime
    """When the job occurred."""
    job_id: str
    """The id of the job."""
    user_id: str
    """The id under which it arrived: the user's own, or one that was merged into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedToken(Model):
    """A push token that a user has now, with the job that set it."""

    channel_id: str
    """The channel's key."""
    token: str
    """The token."""
    device: Mapping[str, Any] | None
    """What is known of its device: locale, timezone."""
    occurred_at: datetime
    """When the job occurred."""
    job_id: str
    """The id of the job."""
    user_id: str
    """The id under which it arrived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedEvent(Model):
    """A delete or a merge that names one of the ids."""

    kind: Literal["delete", "merge"]
    """What it is."""
    user_id: str
    """Who was deleted; of a merge, the secondary."""
    primary_id: str | None
    """Of a merge, the primary as the job named it."""
    occurred_at: datetime
    """When the job occurred."""
    job_id: str
    """The id of the job."""
    no_effect: str | None
    """Why it took no effect; None: it did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedPeriod(Model):
    """From when to when (not including it) which user owns what was addressed to an id."""

    user_id: str
    """The id."""
    since: datetime
    """From when on."""
    until: datetime | None
    """None: it lasts."""
    owner: str | None
    """None: no user, because the user was deleted since, or a merge did not transfer what is so old."""
    existed: bool
    """Whether the id stood for a user then; otherwise nothing was made for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserExplanation(Model):
    """Why a user is as it is: which job set each value, and which ids stand for the user since when."""

    id: str
    """The user. For an id that was merged away, the user that it stands for."""
    asked_for: str
    """The id of the call."""
    exists: bool
    """False: there is no such user any more, and only the events are known."""
    traits: tuple[ExplainedValue, ...]
    """The attributes and properties."""
    preferences: tuple[ExplainedValue, ...]
    """The settings of each preference set. Their paths begin with the set's id, section and key."""
    channel_data: tuple[ExplainedValue, ...]
    """The data of each channel, without push tokens. Their paths begin with the channel's id."""
    tokens: tuple[ExplainedToken, ...]
    """The push tokens."""
    ids: tuple[str, ...]
    """The ids that stand for the user now, its own first."""
    events: tuple[ExplainedEvent, ...]
    """The deletes and merges that name an id of the identity cluster, oldest first, until the users are erased."""
    ownership: tuple[ExplainedPeriod, ...]
    """Who owns what was addressed to the ids."""
    is_complete: bool
    """False: there are more ids, events or ownership periods than the 5,000 of each that are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedSetting(Model):
    """A setting that applied to a message, as it was at the message's stamp."""

    path: tuple[str, ...]
    """Where it stands in its set: `("channel_types", "email")`, `("categories", "news", "channel_types", "email")`."""
    value: bool | None
    """What it says; None: nothing, and then it allows."""
    occurred_at: datetime | None
    """When the job that set it occurred."""
    job_id: str | None
    """The id of that job."""
    user_id: str | None
    """The id under which it arrived."""

    @property
    def allows(self) -> bool:
        """Whether it lets the message through."""
        return self.value is not False


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageExplanation(Model):
    """Why a message is where it is: whose it is, which settings let it through or stopped it, what became of it."""

    id: str
    """The message's."""
    job_id: str
    """The id of the trigger's job."""
    workflow: str
    """Of the trigger, as what follows."""
    tenant: str | None
    """The tenant."""
    categories: tuple[str, ...]
    """The categories."""
    channel: str
    """The type of the channel."""
    occurred_at: datetime
    """When the trigger occurred."""
    addressed_to: str
    """The recipient's id as the trigger named it."""
    owner: str | None
    """The user who has it now; None: no user."""
    owner_reason: OwnerReason
    """Why."""
    events: tuple[ExplainedEvent, ...]
    """The merges and the delete after the message that led to this owner, oldest first."""
    preference_set: str | None
    """The set that applied at the message's stamp: the tenant's, otherwise `default`; None: there was none."""
    settings: tuple[ExplainedSetting, ...]
    """The settings of that set that applied. One that is False stopped the message."""
    is_allowed: bool
    """Whether every setting that applied is true or absent."""
    is_visible: bool
    """Whether it is in its owner's messages: a user owns it, and preferences allow it."""
    delivery: DeliveryStatus | None
    """What became of its delivery, with the number of attempts; None: it stays here."""
