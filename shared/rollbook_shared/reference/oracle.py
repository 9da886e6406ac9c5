"""The reference: each distinct job applied once, in stamp order, to plain tables; merges move rows to their new owner.

It is the rules in their simplest form, and what workers must agree with in any order of delivery. So it shares nothing
with them but the jobs, their stamps and the ids of rows: not even the deep merge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Final, NamedTuple, assert_never

from rollbook_shared import jobs
from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.deterministic_ids import activity_id, message_id
from rollbook_shared.domain.stamps import stamp
from rollbook_shared.reference.person import ReferenceUser
from rollbook_shared.reference.world import World, WorldActivity, WorldMessage

HISTORY: Final = timedelta(days=30)


def oracle(sent: Iterable[jobs.Job], *, history: timedelta = HISTORY) -> World:
    """The world after the jobs `sent`; of several jobs with one id, the first one counts."""
    tables = Tables(history=history // timedelta(microseconds=1))
    for _ in apply_all(tables, sent):
        pass
    return tables.world()


def apply_all(tables: Tables, sent: Iterable[jobs.Job]) -> Iterator[Step]:
    """Apply the jobs to the tables in stamp order; yield each step after it was applied."""
    distinct: dict[str, jobs.Job] = {}
    for job in sent:
        distinct.setdefault(job.id, job)
    steps = [step for job in distinct.values() for step in _steps(job)]
    for step in sorted(steps, key=lambda step: (step.occurred_at, step.job.id, step.ordinal)):
        if step.user_update is None:
            _apply(tables, step.job)
        else:
            tables.update(step.user_update, stamp(step.occurred_at, step.job.id, step.ordinal))
        yield step


class Step(NamedTuple):
    """A job, or one user of a bulk job whose users have timestamps of their own."""

    occurred_at: int
    ordinal: int
    job: jobs.Job
    user_update: jobs.UserUpdate | None = None


def _steps(job: jobs.Job) -> Iterator[Step]:
    if isinstance(job, jobs.BulkIdentify) and job.timestamps:
        for ordinal, (user_update, timestamp) in enumerate(zip(job.users, job.timestamps, strict=True)):
            if isinstance(user_update, jobs.UserUpdate):
                yield Step(timestamp, ordinal, job, user_update)
    else:
        yield Step(job.occurred_at, 0, job)


def _apply(tables: Tables, job: jobs.Job) -> None:
    match job:
        case jobs.Identify(user=user):
            tables.update(user, stamp(job.occurred_at, job.id))
        case jobs.BulkIdentify(users=users):
            for ordinal, user_update in enumerate(users):
                if isinstance(user_update, jobs.UserUpdate):  # a Problem stands for a user that was rejected
                    tables.update(user_update, stamp(job.occurred_at, job.id, ordinal))
        case jobs.Delete(user_id=user_id):
            tables.delete(user_id)
        case jobs.BulkDelete(user_ids=user_ids):
            for user_id in user_ids:
                tables.delete(user_id)
        case jobs.Merge():
            tables.merge(job, stamp(job.occurred_at, job.id))
        case jobs.SetPreferences(user_id=user_id, set_id=set_id, settings=settings):
            tables.identify(user_id, stamp(job.occurred_at, job.id)).preferences[set_id] = settings
        case jobs.BulkSetPreferences(user_ids=user_ids, set_id=set_id, settings=settings):
            for ordinal, user_id in enumerate(user_ids):
                tables.identify(user_id, stamp(job.occurred_at, job.id, ordinal)).preferences[set_id] = settings
        case jobs.UpdatePreferences(user_id=user_id, set_id=set_id, changes=changes):
            tables.identify(user_id, stamp(job.occurred_at, job.id)).change_preferences(set_id, changes)
        case jobs.UnsetPreferences(user_id=user_id, set_id=set_id):
            if tables.is_known(user_id):
                tables.identify(user_id, stamp(job.occurred_at, job.id)).preferences.pop(set_id, None)
        case jobs.SetChannelData(user_id=user_id, channel_id=channel_id, data=data):
            tables.identify(user_id, stamp(job.occurred_at, job.id)).set_channel_data(channel_id, data)
        case jobs.UnsetChannelData(user_id=user_id, channel_id=channel_id):
            if tables.is_known(user_id):
                tables.identify(user_id, stamp(job.occurred_at, job.id)).channel_data.pop(channel_id, None)
        case jobs.AddPushToken(user_id=user_id):
            tables.identify(user_id, stamp(job.occurred_at, job.id)).change_token(job)
        case jobs.RemovePushToken(user_id=user_id):
            if tables.is_known(user_id):
                tables.identify(user_id, stamp(job.occurred_at, job.id)).change_token(job)
        case jobs.Trigger():
            _start_workflow(tables, job)
        case jobs.Mark():
            tables.mark(job)
        case jobs.MarkAll():
            tables.mark_all(job)
        case _:
            assert_never(job)


def _start_workflow(tables: Tables, job: jobs.Trigger) -> None:
    for ordinal, person in enumerate((job.actor, *job.recipients)):
        if isinstance(person, jobs.UserUpdate):
            tables.update(person, stamp(job.occurred_at, job.id, ordinal))
    actor = _id_of(job.actor) if job.actor is not None else None
    for recipient in dict.fromkeys(map(_id_of, job.recipients)):
        if tables.is_known(recipient):
            tables.write(job, recipient, actor)


def _engagements(
    job: jobs.Mark | jobs.MarkAll, owner: str | None, names_user: bool, ordinal: int = 0
) -> list[_Engagement]:
    """What the job says of one message."""
    names = ["interacted", "read"] if job.engagement == "interacted" else [job.engagement.removeprefix("un")]
    is_set = not job.engagement.startswith("un")
    at = stamp(job.occurred_at, job.id, ordinal)
    return [_Engagement(at, job.occurred_at, name, is_set, owner, names_user) for name in names]


def _id_of(person: str | jobs.UserUpdate) -> str:
    return person if isinstance(person, str) else person.id


@dataclass(slots=True)
class _Row:
    """An activity, or (on a channel) a message."""

    id: str
    occurred_at: int
    workflow: str
    channel: str | None
    owner: str | None
    actor: str | None
    names_actor: bool
    engagements: list[_Engagement] = field(default_factory=list)


@dataclass(slots=True)
class _Engagement:
    """An engagement that was set or cleared. It moves with the user who did it, as a message does."""

    stamp: str
    occurred_at: int
    name: str
    is_set: bool
    owner: str | None
    names_user: bool


class Tables:
    """The users, activities and messages, as they are after the jobs so far."""

    def __init__(self, *, history: int) -> None:
        self.history = history
        self.users: dict[str, ReferenceUser] = {}
        self.merged_into: dict[str, str] = {}
        self.absorbed: defaultdict[str, list[str]] = defaultdict(list)  # the inverse of merged_into
        self.rows: list[_Row] = []
        self.engagements: defaultdict[str, list[_Engagement]] = defaultdict(list)  # by message
        self.owned: defaultdict[str, list[_Row | _Engagement]] = defaultdict(list)
        self.acted: defaultdict[str, list[_Row]] = defaultdict(list)

    def canonical_id(self, user_id: str) -> str:
        """The user that the id stands for."""
        while user_id in self.merged_into:
            user_id = self.merged_into[user_id]
        return user_id

    def is_known(self, user_id: str) -> bool:
        """Whether the id stands for a user."""
        return self.canonical_id(user_id) in self.users

    def identify(self, user_id: str, updated: str) -> ReferenceUser:
        """The user that the id stands for, created if there is none."""
        user = self.users.setdefault(self.canonical_id(user_id), ReferenceUser())
        user.updated = updated
        return user

    def update(self, user_update: jobs.UserUpdate, updated: str) -> None:
        """Apply what one job says of one user."""
        user = self.identify(user_update.id, updated)
        for name, value in user_update.traits.items():
            (user.attributes if name in ATTRIBUTES else user.properties)[name] = value
        user.preferences.update(user_update.preferences)
        for channel_id, data in user_update.channel_data.items():
            user.set_channel_data(channel_id, data)

    def delete(self, user_id: str) -> None:
        """Delete the user, unless the id is a merged one."""
        if user_id in self.merged_into:
            return
        self.users.pop(user_id, None)
        for freed in self._free(user_id):
            del self.merged_into[freed]
        for row in self.owned.pop(user_id, ()):
            row.owner = None
        for row in self.acted.pop(user_id, ()):
            row.actor = None

    def merge(self, job: jobs.Merge, updated: str) -> None:
        """Make the secondary part of the primary, with the rows of the history."""
        primary, secondary = self.canonical_id(job.primary_id), job.secondary_id
        if secondary in self.merged_into or primary == secondary:
            return
        if secondary_user := self.users.pop(secondary, None):
            self.identify(primary, updated).merge(secondary_user, job)
        self.merged_into[secondary] = primary
        self.absorbed[primary].append(secondary)
        since = job.occurred_at - self.history
        for row in self.owned.pop(secondary, ()):
            row.owner = primary if row.occurred_at >= since else None
            if row.owner is not None:
                self.owned[primary].append(row)
        for row in self.acted.pop(secondary, ()):
            row.actor = primary if row.occurred_at >= since else None
            if row.actor is not None:
                self.acted[primary].append(row)

    def write(self, job: jobs.Trigger, recipient: str, named_actor: str | None) -> None:
        """Write the activity of one recipient, and the messages that preferences allow."""
        owner = self.canonical_id(recipient)
        actor = self.canonical_id(named_actor) if named_actor is not None and self.is_known(named_actor) else None
        activity = (None, activity_id(job.id, recipient))
        messages = [
            (channel, message_id(job.id, recipient, channel))
            for channel in dict.fromkeys(job.channels)
            if self.users[owner].allows(job, channel)
        ]
        for channel, row_id in (activity, *messages):
            row = _Row(
                str(row_id), job.occurred_at, job.workflow, channel, owner, actor, names_actor=named_actor is not None
            )
            self.rows.append(row)
            self.owned[owner].append(row)
            if actor is not None:
                self.acted[actor].append(row)

    def mark(self, job: jobs.Mark) -> None:
        """Note the engagement with single messages."""
        user = None if job.user_id is None or not self.is_known(job.user_id) else self.canonical_id(job.user_id)
        for ordinal, id_ in enumerate(job.message_ids):
            for engagement in _engagements(job, user, job.user_id is not None, ordinal):
                self.engagements[str(id_)].append(engagement)
                if user is not None:
                    self.owned[user].append(engagement)

    def mark_all(self, job: jobs.MarkAll) -> None:
        """Note the engagement with all messages that the user has on the channel by now."""
        for row in self.owned[self.canonical_id(job.user_id)]:
            if isinstance(row, _Row) and row.channel == job.channel:
                row.engagements += _engagements(job, None, False)

    def world(self) -> World:
        """All that readers see."""
        activities: dict[str, WorldActivity] = {}
        messages: dict[str, WorldMessage] = {}
        for row in self.rows:
            if row.owner is None:
                continue
            activity: WorldActivity = {
                "owner": row.owner,
                "actor": row.actor,
                "missing_actor": row.names_actor and row.actor is None,
                "workflow": row.workflow,
            }
            if row.channel is None:
                activities[row.id] = activity
            else:
                engagements = [*row.engagements, *self.engagements[row.id]]
                counting = [one for one in engagements if not one.names_user or one.owner == row.owner]
                newest = {one.name: one for one in sorted(counting, key=lambda one: one.stamp)}
                times = {name: one.occurred_at for name, one in newest.items() if one.is_set}
                messages[row.id] = {**activity, "channel": row.channel, "engagements": times}
        push_tokens = self._push_tokens()
        return {
            "users": {
                user_id: {
                    "attributes": user.non_null_attributes(),
                    "properties": user.properties,
                    "preferences": user.preferences,
                    "channel_data": user.channel_data,
                    "push_tokens": push_tokens.get(user_id, {}),
                    "updated": user.updated,
                }
                for user_id, user in self.users.items()
            },
            "merged": {user_id: self.canonical_id(user_id) for user_id in self.merged_into},
            "messages": messages,
            "activities": activities,
        }

    def _push_tokens(self) -> dict[str, dict[str, list[str]]]:
        """By user and channel, the hashes of the tokens that no other user has sent later."""
        last: dict[tuple[str, str], tuple[str, str]] = {}
        for user_id, user in self.users.items():
            for token, at in user.sent_tokens.items():
                last[token] = max((at, user_id), last.get(token, (at, user_id)))
        found: dict[str, dict[str, list[str]]] = {}
        for (channel_id, name), (_, user_id) in last.items():
            digest = sha256(name.encode()).hexdigest()[:32]
            found.setdefault(user_id, {}).setdefault(channel_id, []).append(digest)
        return {
            user_id: {channel_id: sorted(hashes) for channel_id, hashes in channels.items()}
            for user_id, channels in found.items()
        }

    def _free(self, user_id: str) -> Iterator[str]:
        """Every id that stands for the user, each released."""
        absorbed = self.absorbed.pop(user_id, [])
        while absorbed:
            secondary = absorbed.pop()
            absorbed += self.absorbed.pop(secondary, [])
            yield secondary
