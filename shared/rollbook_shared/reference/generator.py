"""A sample history of a product, as the jobs that its backends send: a pure function of a seed and of its end time.

It consists of stories: a sign-up, a guest who becomes a customer, a user who leaves and comes back. Each is spread over
the 45 days before `now`, so that the 30 days of history that a merge transfers begin in the middle of it, to the
microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any, Final

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import (
    AddPushToken,
    BulkDelete,
    BulkSetPreferences,
    Delete,
    Identify,
    Job,
    Mark,
    MarkAll,
    Merge,
    RemovePushToken,
    SetChannelData,
    SetPreferences,
    Trigger,
    UnsetChannelData,
    UnsetPreferences,
    UpdatePreferences,
    UserUpdate,
)
from rollbook_shared.reference.traits import full_traits, preference_changes, preference_set, push_tokens, some_traits

_MICROSECOND: Final = timedelta(microseconds=1)
SAMPLE_PERIOD: Final = timedelta(days=45) // _MICROSECOND
HISTORY: Final = timedelta(days=30) // _MICROSECOND
_HOUR: Final = timedelta(hours=1) // _MICROSECOND
_SECTIONS: Final = ("preferences", "channel_data")
_BUSY_ONE_IN: Final = 50
"""Half of all stories are about these few users: only stories that overlap test the order of jobs."""
_WORKFLOWS: Final = ("new-comment", "invoice-paid", "weekly-digest", "mention")
_CHANNELS: Final = (("in_app",), ("in_app", "email"), ("push", "in_app"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleHistory:
    """Users that an import brings in, and the jobs that backends send."""

    imported: tuple[dict[str, Any], ...]
    jobs: tuple[Job, ...]
    """In the order of the stories, each distinct."""


def generate_jobs(*, seed: int, users: int, jobs: int, now: int) -> SampleHistory:
    """Make a history of `users` imported users and about `jobs` jobs, none stamped after `now` (in microseconds)."""
    chance = Random(seed)
    ids = [f"user_{number:06}" for number in range(users)]
    imported = tuple({"id": user_id, **full_traits(chance, user_id)} for user_id in ids)
    generator = _Generator(chance, ids, now)
    stories = {
        generator.sign_up: 22,
        generator.change: 30,
        generator.notify: 22,
        generator.read_the_feed: 6,
        generator.choose_settings: 6,
        generator.guest_becomes_customer: 4,
        generator.leave: 6,
        generator.merge_in_chains: 1,
        generator.merge_both_ways: 1,
        generator.clean_up: 1,
    }
    while len(generator.jobs) < jobs:
        chance.choices([*stories], [*stories.values()])[0]()
    return SampleHistory(imported=imported, jobs=tuple(generator.jobs))


def user_update_of(user: dict[str, Any]) -> UserUpdate:
    """The user update of a flat mapping, as callers of the client give it."""
    sections = {name: user[name] for name in _SECTIONS if name in user}
    traits = {name: value for name, value in user.items() if name != "id" and name not in _SECTIONS}
    return UserUpdate(id=user["id"], traits=traits, **sections)


class _Generator:
    def __init__(self, chance: Random, ids: Iterable[str], now: int) -> None:
        self.chance = chance
        self.now = now
        self.ids = list(ids)
        self.busy = self.ids[: len(self.ids) // _BUSY_ONE_IN + 1]
        self.new_ids = 0
        self.jobs: list[Job] = []

    # stories

    def sign_up(self) -> None:
        user_id = self.new_id("member")
        self.identify(user_id, full_traits(self.chance, user_id), self.any_time())
        self.ids.append(user_id)

    def change(self) -> None:
        self.identify(self.any_user(), some_traits(self.chance), self.any_time())

    def notify(self) -> None:
        recipients: list[Any] = self.chance.choices(self.ids, k=self.chance.randint(1, 4))
        match self.chance.randrange(6):
            case 0:
                recipients.append(self.inline(self.any_user()))
            case 1:
                recipients.append(self.inline(self.new_id("invited")))
            case 2:
                recipients.append(self.new_id("unknown"))
            case _:
                pass
        actor: Any = self.chance.choice((None, self.any_user(), self.any_user(), self.inline(self.any_user())))
        self.trigger(recipients, self.any_time(), actor)

    def read_the_feed(self) -> None:
        """A user opens some messages, and marks the others as seen; the phone was offline, so the times are mixed."""
        user_id, other, chance = self.any_user(), self.any_user(), self.chance
        at = self.any_time(latest=self.now - 6 * _HOUR)
        sent = [self.trigger([user_id, other], at + number * _HOUR, None) for number in range(3)]
        for number, job_id in enumerate(sent):
            marked_at = self.any_time(at, self.now)
            who = chance.choice((None, user_id, user_id, other))  # what another user marks does not count
            engagement = chance.choice(("seen", "read", "interacted", "archived", "unread", "unseen"))
            ids = (message_id(job_id, user_id, "in_app"), message_id(sent[number - 1], user_id, "in_app"))
            self.write(Mark, marked_at, message_ids=ids, engagement=engagement, user_id=who)
        everything = {"user_id": user_id, "channel": "in_app"}
        self.write(MarkAll, self.any_time(at, self.now), **everything, engagement=chance.choice(("seen", "read")))

    def choose_settings(self) -> None:
        user_id = self.any_user()
        set_id, channel = self.chance.choice(("default", "acme")), self.chance.choice(("apns", "fcm"))
        start, chance = self.any_time(latest=self.now - 3 * _HOUR), self.chance
        self.write(SetPreferences, start, user_id=user_id, set_id=set_id, settings=preference_set(chance))
        self.write(SetChannelData, start + _HOUR, user_id=user_id, channel_id=channel, data=push_tokens(chance))
        phone = {"user_id": user_id, "channel_id": channel, "token": chance.choice(("phone-1", "phone-2", "tablet"))}
        for at in (start, start + _HOUR + 1, start + 3 * _HOUR):
            self.write(AddPushToken, at, **phone, device=chance.choice((None, {"locale": "de"})))
        if chance.random() < 0.5:
            self.write(RemovePushToken, start + 2 * _HOUR, **phone)
        for at in (start - 1, start + 1, start + 2 * _HOUR - 1):  # toggles on a page of settings, around the whole set
            changes = preference_changes(chance)
            self.write(UpdatePreferences, at, user_id=user_id, set_id=set_id, changes=changes)
        match chance.randrange(3):
            case 0:
                self.write(UnsetPreferences, start + 2 * _HOUR, user_id=user_id, set_id=set_id)
            case 1:
                self.write(UnsetChannelData, start + 2 * _HOUR, user_id=user_id, channel_id=channel)
            case _:
                group = tuple(dict.fromkeys(chance.choices(self.ids, k=20)))
                self.write(BulkSetPreferences, start, user_ids=group, set_id="default", settings=preference_set(chance))

    def guest_becomes_customer(self) -> None:
        """A guest is notified, acts, signs up; jobs that name the guest keep coming, before the merge and after."""
        chance = self.chance
        guest, customer = self.new_id("guest"), chance.choice((self.new_id("customer"), self.any_user()))
        merged_at = self.any_time(earliest=self.now - SAMPLE_PERIOD + 31 * 24 * _HOUR, latest=self.now - 6 * _HOUR)
        kept_from = merged_at - HISTORY
        guest_traits = some_traits(chance) | {"source": "invite", "address": {"street": "Low Road 1", "city": "Bern"}}
        self.identify(guest, guest_traits, kept_from - 12 * _HOUR)
        for at in (kept_from - 1, kept_from, self.any_time(kept_from, merged_at), merged_at - 1, merged_at + _HOUR):
            self.trigger([guest, self.any_user()], at, chance.choice((None, guest, customer)))
        self.trigger([self.any_user()], chance.choice((kept_from - 1, kept_from, merged_at - 1)), guest)
        self.trigger([self.inline(guest)], self.any_time(kept_from, self.now), customer)
        if chance.random() < 0.7:
            self.identify(customer, full_traits(chance, customer), self.any_time(kept_from, self.now))
        if chance.random() < 0.5:
            self.write(SetChannelData, merged_at - _HOUR, user_id=guest, channel_id="fcm", data=push_tokens(chance))
            self.write(SetPreferences, merged_at - 1, user_id=guest, set_id="default", settings=preference_set(chance))
        self.write(Merge, merged_at, primary_id=customer, secondary_id=guest)
        self.identify(guest, some_traits(chance), self.any_time(kept_from, merged_at))
        self.identify(guest, some_traits(chance), self.any_time(merged_at, self.now))
        match chance.randrange(4):
            case 0:  # a clean-up that names the guest deletes no user
                self.write(Delete, merged_at + 2 * _HOUR, user_id=guest)
            case 1:  # the guest's id is free again
                self.write(Delete, merged_at + 3 * _HOUR, user_id=customer)
                self.identify(guest, some_traits(chance), self.any_time(merged_at + 4 * _HOUR, self.now))
            case _:
                pass

    def leave(self) -> None:
        user_id, gone_at = self.any_user(), self.any_time(latest=self.now - _HOUR)
        self.trigger([user_id, self.any_user()], self.any_time(latest=gone_at), user_id)
        self.trigger([self.any_user(), user_id], self.any_time(earliest=gone_at), self.any_user())
        self.trigger([self.any_user()], self.any_time(latest=gone_at), user_id)
        self.identify(user_id, some_traits(self.chance), self.any_time(latest=gone_at))
        self.write(Delete, gone_at, user_id=user_id)
        if self.chance.random() < 0.4:
            self.identify(user_id, full_traits(self.chance, user_id), self.any_time(earliest=gone_at))

    def merge_in_chains(self) -> None:
        chain = [self.new_id("alias") for _ in range(self.chance.randint(3, 5))]
        for user_id in chain:
            if self.chance.random() < 0.8:
                self.identify(user_id, some_traits(self.chance), self.any_time())
            self.trigger([user_id], self.any_time(), self.chance.choice(chain))
        for primary, secondary in pairwise(chain):
            self.write(Merge, self.any_time(), primary_id=primary, secondary_id=secondary)

    def merge_both_ways(self) -> None:
        one, other = self.new_id("twin"), self.any_user()
        self.identify(one, some_traits(self.chance), self.any_time())
        self.trigger([one, other], self.any_time(), one)
        self.write(Merge, self.any_time(), primary_id=one, secondary_id=other)
        self.write(Merge, self.any_time(), primary_id=other, secondary_id=one)

    def clean_up(self) -> None:
        gone = tuple(dict.fromkeys(self.chance.choices(self.ids, k=5)))
        self.write(BulkDelete, self.any_time(), user_ids=gone)

    # jobs

    def identify(self, user_id: str, traits: dict[str, Any], at: int) -> None:
        self.write(Identify, at, user=user_update_of({"id": user_id, **traits}))

    def trigger(self, recipients: list[Any], at: int, actor: Any) -> str:
        return self.write(
            Trigger,
            at,
            workflow=self.chance.choice(_WORKFLOWS),
            recipients=tuple(user_update_of(who) if isinstance(who, dict) else who for who in recipients),
            actor=user_update_of(actor) if isinstance(actor, dict) else actor,
            data={"number": self.chance.randint(1, 1000)},
            tenant=self.chance.choice((None, "acme")),
            channels=self.chance.choice(_CHANNELS),
        )

    def write(self, kind: type[Job], at: int, **fields: Any) -> str:
        """Add the job; return its id."""
        job_id = f"demo-{len(self.jobs):06}"
        self.jobs.append(kind.model_validate({"id": job_id, "occurred_at": at, **fields}))
        return job_id

    def inline(self, user_id: str) -> dict[str, Any]:
        user = {"id": user_id, **some_traits(self.chance)}
        match self.chance.randrange(4):
            case 0:
                user["preferences"] = {"default": preference_set(self.chance)}
            case 1:
                user["channel_data"] = {"apns": push_tokens(self.chance)}
            case _:
                pass
        return user

    def any_user(self) -> str:
        return self.chance.choice(self.busy if self.chance.random() < 0.5 else self.ids)

    def new_id(self, sort: str) -> str:
        self.new_ids += 1
        return f"{sort}_{self.new_ids:06}"

    def any_time(self, earliest: int | None = None, latest: int | None = None) -> int:
        return self.chance.randint(
            self.now - SAMPLE_PERIOD if earliest is None else earliest, self.now if latest is None else latest
        )
