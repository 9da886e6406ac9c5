"""A product's life, as the jobs that its backends send: a pure function of a seed and of the moment it ends.

It is told in stories: a sign-up, a guest who becomes a customer, somebody who leaves and comes back. Each is spread
over the 45 days before `now`, so that a merge's 30 days of history begin in the middle of it, to the microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any, Final

from rollbook_shared.jobs.models import (
    BulkDelete,
    BulkSetPreferences,
    Delete,
    Identify,
    Job,
    Merge,
    SetChannelData,
    SetPreferences,
    Trigger,
    UnsetChannelData,
    UnsetPreferences,
    UserUpdate,
)
from rollbook_shared.reference.traits import full_traits, preference_set, push_tokens, some_traits

_MICROSECOND: Final = timedelta(microseconds=1)
SPAN: Final = timedelta(days=45) // _MICROSECOND
HISTORY: Final = timedelta(days=30) // _MICROSECOND
_HOUR: Final = timedelta(hours=1) // _MICROSECOND
_SECTIONS: Final = ("preferences", "channel_data")
_BUSY_ONE_IN: Final = 50
"""Half of all that happens, happens to these few: only stories that cross put the order of jobs to the test."""
_WORKFLOWS: Final = ("new-comment", "invoice-paid", "weekly-digest", "mention")
_CHANNELS: Final = (("in_app",), ("in_app", "email"), ("push", "in_app"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """What happened: users that an import brings in, and the jobs that backends send."""

    imported: tuple[dict[str, Any], ...]
    jobs: tuple[Job, ...]
    """In the order of the stories, each distinct."""


def generate_jobs(*, seed: int, users: int, jobs: int, now: int) -> Life:
    """Make up a life with `users` imported users and about `jobs` jobs, none stamped after `now` (in microseconds)."""
    chance = Random(seed)
    ids = [f"user_{number:06}" for number in range(users)]
    imported = tuple({"id": user_id, **full_traits(chance, user_id)} for user_id in ids)
    author = _Author(chance, ids, now)
    stories = {
        author.sign_up: 22,
        author.change: 30,
        author.notify: 22,
        author.settle_in: 6,
        author.guest_becomes_customer: 4,
        author.leave: 6,
        author.merge_in_chains: 1,
        author.merge_both_ways: 1,
        author.clean_up: 1,
    }
    while len(author.jobs) < jobs:
        chance.choices([*stories], [*stories.values()])[0]()
    return Life(imported=imported, jobs=tuple(author.jobs))


def user_update(user: dict[str, Any]) -> UserUpdate:
    """A flat mapping, as callers of the face give it, as the contract has it."""
    sections = {name: user[name] for name in _SECTIONS if name in user}
    traits = {name: value for name, value in user.items() if name != "id" and name not in _SECTIONS}
    return UserUpdate(id=user["id"], traits=traits, **sections)


class _Author:
    def __init__(self, chance: Random, ids: Iterable[str], now: int) -> None:
        self.chance = chance
        self.now = now
        self.ids = list(ids)
        self.busy = self.ids[: len(self.ids) // _BUSY_ONE_IN + 1]
        self.newcomers = 0
        self.jobs: list[Job] = []

    # stories

    def sign_up(self) -> None:
        user_id = self.newcomer("member")
        self.identify(user_id, full_traits(self.chance, user_id), self.sometime())
        self.ids.append(user_id)

    def change(self) -> None:
        self.identify(self.somebody(), some_traits(self.chance), self.sometime())

    def notify(self) -> None:
        recipients: list[Any] = self.chance.choices(self.ids, k=self.chance.randint(1, 4))
        match self.chance.randrange(6):
            case 0:
                recipients.append(self.inline(self.somebody()))
            case 1:
                recipients.append(self.inline(self.newcomer("invited")))
            case 2:
                recipients.append(self.newcomer("nobody"))
            case _:
                pass
        actor: Any = self.chance.choice((None, self.somebody(), self.somebody(), self.inline(self.somebody())))
        self.trigger(recipients, self.sometime(), actor)

    def settle_in(self) -> None:
        user_id = self.somebody()
        set_id, channel = self.chance.choice(("default", "acme")), self.chance.choice(("apns", "fcm"))
        start, chance = self.sometime(latest=self.now - 3 * _HOUR), self.chance
        self.write(SetPreferences, start, user_id=user_id, set_id=set_id, settings=preference_set(chance))
        self.write(SetChannelData, start + _HOUR, user_id=user_id, channel_id=channel, data=push_tokens(chance))
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
        guest, customer = self.newcomer("guest"), chance.choice((self.newcomer("customer"), self.somebody()))
        merged_at = self.sometime(earliest=self.now - SPAN + 31 * 24 * _HOUR, latest=self.now - 6 * _HOUR)
        edge = merged_at - HISTORY
        guest_traits = some_traits(chance) | {"source": "invite", "address": {"street": "Low Road 1", "city": "Bern"}}
        self.identify(guest, guest_traits, edge - 12 * _HOUR)
        for at in (edge - 1, edge, self.sometime(edge, merged_at), merged_at - 1, merged_at + _HOUR):
            self.trigger([guest, self.somebody()], at, chance.choice((None, guest, customer)))
        self.trigger([self.somebody()], chance.choice((edge - 1, edge, merged_at - 1)), guest)
        self.trigger([self.inline(guest)], self.sometime(edge, self.now), customer)
        if chance.random() < 0.7:
            self.identify(customer, full_traits(chance, customer), self.sometime(edge, self.now))
        if chance.random() < 0.5:
            self.write(SetChannelData, merged_at - _HOUR, user_id=guest, channel_id="fcm", data=push_tokens(chance))
            self.write(SetPreferences, merged_at - 1, user_id=guest, set_id="default", settings=preference_set(chance))
        self.write(Merge, merged_at, primary_id=customer, secondary_id=guest)
        self.identify(guest, some_traits(chance), self.sometime(edge, merged_at))
        self.identify(guest, some_traits(chance), self.sometime(merged_at, self.now))
        match chance.randrange(4):
            case 0:  # a clean-up that names the guest deletes nobody
                self.write(Delete, merged_at + 2 * _HOUR, user_id=guest)
            case 1:  # the guest's id is free again
                self.write(Delete, merged_at + 3 * _HOUR, user_id=customer)
                self.identify(guest, some_traits(chance), self.sometime(merged_at + 4 * _HOUR, self.now))
            case _:
                pass

    def leave(self) -> None:
        user_id, gone_at = self.somebody(), self.sometime(latest=self.now - _HOUR)
        self.trigger([user_id, self.somebody()], self.sometime(latest=gone_at), user_id)
        self.trigger([self.somebody(), user_id], self.sometime(earliest=gone_at), self.somebody())
        self.trigger([self.somebody()], self.sometime(latest=gone_at), user_id)
        self.identify(user_id, some_traits(self.chance), self.sometime(latest=gone_at))
        self.write(Delete, gone_at, user_id=user_id)
        if self.chance.random() < 0.4:
            self.identify(user_id, full_traits(self.chance, user_id), self.sometime(earliest=gone_at))

    def merge_in_chains(self) -> None:
        chain = [self.newcomer("alias") for _ in range(self.chance.randint(3, 5))]
        for user_id in chain:
            if self.chance.random() < 0.8:
                self.identify(user_id, some_traits(self.chance), self.sometime())
            self.trigger([user_id], self.sometime(), self.chance.choice(chain))
        for primary, secondary in pairwise(chain):
            self.write(Merge, self.sometime(), primary_id=primary, secondary_id=secondary)

    def merge_both_ways(self) -> None:
        one, other = self.newcomer("twin"), self.somebody()
        self.identify(one, some_traits(self.chance), self.sometime())
        self.trigger([one, other], self.sometime(), one)
        self.write(Merge, self.sometime(), primary_id=one, secondary_id=other)
        self.write(Merge, self.sometime(), primary_id=other, secondary_id=one)

    def clean_up(self) -> None:
        gone = tuple(dict.fromkeys(self.chance.choices(self.ids, k=5)))
        self.write(BulkDelete, self.sometime(), user_ids=gone)

    # their words

    def identify(self, user_id: str, traits: dict[str, Any], at: int) -> None:
        self.write(Identify, at, user=user_update({"id": user_id, **traits}))

    def trigger(self, recipients: list[Any], at: int, actor: Any) -> None:
        self.write(
            Trigger,
            at,
            workflow=self.chance.choice(_WORKFLOWS),
            recipients=tuple(user_update(who) if isinstance(who, dict) else who for who in recipients),
            actor=user_update(actor) if isinstance(actor, dict) else actor,
            data={"number": self.chance.randint(1, 1000)},
            tenant=self.chance.choice((None, "acme")),
            channels=self.chance.choice(_CHANNELS),
        )

    def write(self, kind: type[Job], at: int, **fields: Any) -> None:
        self.jobs.append(kind.model_validate({"id": f"demo-{len(self.jobs):06}", "occurred_at": at, **fields}))

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

    def somebody(self) -> str:
        return self.chance.choice(self.busy if self.chance.random() < 0.5 else self.ids)

    def newcomer(self, sort: str) -> str:
        self.newcomers += 1
        return f"{sort}_{self.newcomers:06}"

    def sometime(self, earliest: int | None = None, latest: int | None = None) -> int:
        return self.chance.randint(
            self.now - SPAN if earliest is None else earliest, self.now if latest is None else latest
        )
