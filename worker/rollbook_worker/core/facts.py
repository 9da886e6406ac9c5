"""The facts that jobs are made of, each with the slot it fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from rollbook_shared.domain.stamps import Stamp

Slot = tuple[str, ...]
"""What a fact is the newest of: of two facts of one slot, the one with the smaller stamp is forgotten."""


class Told(NamedTuple):
    """A key of a user was given a value; `key` as it is stored, `p.plan`. In `s.` and `c.` keys, None takes the
    key away.
    """

    stamp: Stamp
    user: str
    key: str
    value: Any

    @property
    def slot(self) -> Slot:
        """The user's key; of a preference set every telling has its own."""
        # of preferences every telling is kept: what was wanted when a trigger ran decides on its messages
        if self.key[0] == "s":
            return ("told", self.user, self.key, self.stamp)
        return ("told", self.user, self.key)


class Seen(NamedTuple):
    """A user was told of, and so exists from then on."""

    stamp: Stamp
    user: str

    @property
    def slot(self) -> Slot:
        """Every sighting has its own: who was known at a trigger's stamp decides on it."""
        return ("seen", self.user, self.stamp)


class Identified(NamedTuple):
    """A user was told of, with all these keys at once: a `Seen` and a `Told` for each, in one piece."""

    stamp: Stamp
    user: str
    data: dict[str, Any]
    """By stored key; no preference sets, which are told one by one."""

    def facts(self) -> Iterator[Seen | Told]:
        """The facts that it stands for."""
        yield Seen(self.stamp, self.user)
        for key, value in self.data.items():
            yield Told(self.stamp, self.user, key, value)


class Ended(NamedTuple):
    """A user was deleted (no `primary_id`), or merged into the primary, perhaps with opt-outs and tokens of both."""

    stamp: Stamp
    user: str
    primary_id: str | None
    keep_opt_outs: bool = False
    merge_tokens: bool = False

    @property
    def slot(self) -> Slot:
        """Every ending has its own: all of them are kept."""
        return ("ended", self.stamp)


class Triggered(NamedTuple):
    """A workflow was started; what all its activities and messages share."""

    stamp: Stamp
    job_id: str
    workflow: str
    actor: str | None
    tenant: str | None
    categories: tuple[str, ...]
    data: dict[str, Any]

    @property
    def slot(self) -> Slot:
        """The job's."""
        return ("triggered", self.job_id)


class Activity(NamedTuple):
    """A trigger concerned a recipient, as addressed."""

    stamp: Stamp
    id: UUID
    job_id: str
    recipient: str

    @property
    def slot(self) -> Slot:
        """Its own: it never changes."""
        return ("activity", str(self.id))


class Message(NamedTuple):
    """A recipient, as addressed, was notified on a channel."""

    stamp: Stamp
    id: UUID
    job_id: str
    recipient: str
    channel: str

    @property
    def slot(self) -> Slot:
        """Its own: it never changes."""
        return ("message", str(self.id))


class Marked(NamedTuple):
    """A mark (seen, read, archived) was set on a message, or cleared."""

    stamp: Stamp
    message_id: UUID
    engagement: str
    is_set: bool

    @property
    def slot(self) -> Slot:
        """The message's mark, set or cleared."""
        return ("marked", str(self.message_id), self.engagement)


Fact = Told | Seen | Ended | Triggered | Activity | Message | Marked
"""What a job says, in its smallest parts. Each has a stamp, by which the newest of its slot is found."""
