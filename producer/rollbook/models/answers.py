"""What the face gives back: users, pages, the fate of jobs, the preview of a merge. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

State = Literal["queued", "deferred", "applied", "rejected", "cancelled", "dead"]
"""What has become of a job; `JobStatus` says what each means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user as the workers have applied it so far.

    `id` is the application's. `email`, `name`, `avatar` (a URL), `phone_number` (E.164), `locale` (`de-CH`) and
    `timezone` (IANA) are as they were told; None where nobody told them, or told that there is none.
    """

    id: str
    email: str | None = None
    name: str | None = None
    avatar: str | None = None
    phone_number: str | None = None
    locale: str | None = None
    timezone: str | None = None
    created_at: datetime | None = None
    """When the application says it made the user: aware, in the offset it was sent with."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Everything else the application told, by key: JSON as Postgres' `jsonb` keeps it."""
    updated_at: datetime
    """When the newest change happened (`occurred_at` of its job, not the time it was applied): aware, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    """As many as were asked for, fewer on the last page, none where there are none."""
    after: str | None
    """Pass it as `after` to get the next page; None on the last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedItem:
    """A user of a bulk job that was rejected; its neighbours were applied."""

    index: int | None
    """Its place among the users of the job, from 0."""
    field: str
    """Where in the job it is wrong: `users[3].email`."""
    reason: str
    """Why, for people; no value is quoted."""
    code: str = "invalid"
    """Why, for programs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus:
    """What has become of a job.

    `queued`: the workers have said nothing of it yet; an id that was never sent looks the same.
    `deferred`: it takes effect later, at `due_at`. `cancelled`: it was deferred, and taken back before that.
    `applied`: it has taken effect; see `rejected` and `skipped` for the parts that have not.
    `rejected`: it broke a rule as a whole. `dead`: it cannot be applied as it stands, and is kept. Of these two `code`
    (`invalid`, or one of a `DeadLetter`) and `reason` say why.

    A decided job can be asked after for some days (`ROLLBOOK_JOB_RETENTION_DAYS`); then it looks like one that was
    never
    sent.
    """

    id: str
    """The job's id."""
    kind: str | None
    """`identify`, `trigger` ...; None while queued, unless it is asked of the `Job` that sending it returned."""
    state: State
    """See above."""
    code: str | None = None
    reason: str | None = None
    applied: int | None = None
    """Of a bulk job, to how many users it is applied."""
    rejected: tuple[RejectedItem, ...] = ()
    """Of a bulk job, the users who were rejected, and why."""
    skipped: tuple[str, ...] = ()
    """Recipients of a trigger that were named by id only and are not known."""
    duplicates: int = 0
    """How many times the job came again after it was decided; none of them changed anything."""
    finished_at: datetime | None = None
    """When a worker decided it, by the worker's clock: aware. Of a deferred job, when it was put off."""
    due_at: datetime | None = None
    """When a deferred job takes effect, or would have if it had not been cancelled: aware, UTC."""

    @property
    def is_final(self) -> bool:
        """Whether waiting longer is pointless."""
        return self.state not in ("queued", "deferred")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeferredJob:
    """A job that takes effect later: its `id`, its `kind` (`trigger` ...), and when (`due_at`, aware)."""

    id: str
    kind: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A job that cannot be applied as it stands, kept for somebody to look at."""

    id: str
    """The job's id; a message that has none is named for its content (`nameless-...`)."""
    key: str
    """Tells the letters of one id apart: several other jobs may have been sent under it."""
    kind: str | None
    """What was asked for; None where the message does not say."""
    code: str
    """`malformed`, `unknown_version`, `unknown_kind`, `invalid`, `id_reused`, `unstorable`, `failed`, `too_slow`,
    `kills_worker` or `rejected`; `deploy/runbook.md` says what to do about each.
    """
    reason: str
    """Why, for people: fields and places, no value."""
    failed_at: datetime
    """Aware."""
    body: str | None = field(default=None, repr=False)
    """The message as it came, personal data and all; None in lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict:
    """A value of the secondary that a merge would give up, because the primary has another one in its place."""

    section: Literal["attributes", "properties", "preferences", "channel_data"]
    """Of what; of the last two whole sets and channels are compared."""
    path: tuple[str, ...]
    """Keys from the outermost inwards: `("address", "city")`."""
    kept: Any
    """What would stand: the primary's, or what `keep_opt_outs` and `merge_tokens` make of both."""
    lost: Any
    """The secondary's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilledValue:
    """A value of the secondary that the primary would take over, because it has none in its place."""

    section: Literal["attributes", "properties"]
    """Of what."""
    path: tuple[str, ...]
    """Keys from the outermost inwards: `("address", "zip")`."""
    value: Any
    """As the secondary has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergePreview:
    """What a merge would do if it were applied now. Nothing was written."""

    primary_id: str
    """Who would take over: the user given, or the one it was itself merged into."""
    secondary_id: str
    """Who would cease to be."""
    effect: Literal["merge", "redirect", "nothing"]
    """`merge`: the secondary becomes part of the primary. `redirect`: the secondary is not known, and its id would
    stand for the primary from then on. `nothing`: the secondary is merged away already, or is the primary itself."""
    attributes: Mapping[str, Any]
    """The primary's attributes afterwards, those it has."""
    properties: Mapping[str, Any]
    """The primary's properties afterwards."""
    taken: tuple[FilledValue, ...]
    """What of them is the secondary's; the rest is the primary's own."""
    conflicts: tuple[Conflict, ...]
    """What of the secondary's would be given up."""
    preference_sets_added: tuple[str, ...]
    """The ids of the sets that only the secondary has."""
    channels_added: tuple[str, ...]
    """The ids of the channels on which only the secondary can be reached."""
    messages: int
    """Messages in the secondary's feed that would move to the primary's."""
    activities: int
    """Activities with the secondary as recipient that would move."""
