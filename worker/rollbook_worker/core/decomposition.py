"""Reads a job as facts. A bad user of a bulk job is no fact, and so never hurts its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from rollbook_shared import jobs
from rollbook_shared.domain.deterministic_ids import activity_id, message_id
from rollbook_shared.domain.sections import trait_key
from rollbook_shared.domain.stamps import Stamp, stamp
from rollbook_shared.errors import Problem
from rollbook_worker.core.facts import Activity, Ended, Fact, Identified, Marked, Message, Seen, Told, Triggered


def facts_of(job: jobs.Job) -> Iterator[Fact]:
    """The facts that the job is made of; the place of each in the job is part of its stamp."""
    for piece in pieces_of(job):
        if isinstance(piece, Identified):
            yield from piece.facts()
        else:
            yield piece


def pieces_of(job: jobs.Job) -> Iterator[Fact | Identified]:
    """The same facts, those of a telling in one piece, for who needs no slot for each key."""
    at = stamp(job.occurred_at, job.id)
    match job:
        case jobs.Identify():
            yield from _telling(job.user, at)
        case jobs.BulkIdentify():
            for place, user in enumerate(job.users):
                if not isinstance(user, Problem):
                    yield from _telling(user, stamp(job.timestamp_of(place), job.id, place))
        case jobs.Delete():
            yield Ended(at, job.user_id, None)
        case jobs.BulkDelete():
            for place, user_id in enumerate(job.user_ids):
                yield Ended(stamp(job.occurred_at, job.id, place), user_id, None)
        case jobs.Merge():
            yield Ended(at, job.secondary_id, job.primary_id, job.keep_opt_outs, job.merge_tokens)
        case jobs.SetPreferences():
            yield from _setting(job.user_id, f"s.{job.set_id}", job.settings, at)
        case jobs.UnsetPreferences():
            yield Told(at, job.user_id, f"s.{job.set_id}", None)
        case jobs.BulkSetPreferences():
            for place, user_id in enumerate(job.user_ids):
                yield from _setting(user_id, f"s.{job.set_id}", job.settings, stamp(job.occurred_at, job.id, place))
        case jobs.SetChannelData():
            yield from _setting(job.user_id, f"c.{job.channel_id}", job.data, at)
        case jobs.UnsetChannelData():
            yield Told(at, job.user_id, f"c.{job.channel_id}", None)
        case jobs.Trigger():
            yield from _triggered(job)
        case jobs.Mark():
            engagement = job.engagement.removeprefix("un")
            for place, id_ in enumerate(job.message_ids):
                yield Marked(stamp(job.occurred_at, job.id, place), id_, engagement, engagement == job.engagement)
        case _:
            assert_never(job)


def rows_stamp(job: jobs.Trigger) -> Stamp:
    """The stamp of a trigger's rows: after every inline identification, whose places are 0 (actor), 1, 2 ...
    (recipients).
    """
    return stamp(job.occurred_at, job.id, len(job.recipients) + 1)


def _telling(user_update: jobs.UserUpdate, at: Stamp) -> Iterator[Identified | Told]:
    data = {trait_key(name): value for name, value in user_update.traits.items()}
    for channel_id, reach in user_update.channel_data.items():
        data[f"c.{channel_id}"] = reach
    yield Identified(at, user_update.id, data)
    for set_id, settings in user_update.preferences.items():
        yield Told(at, user_update.id, f"s.{set_id}", settings)


def _setting(user: str, key: str, value: Any, at: Stamp) -> Iterator[Fact]:
    yield Seen(at, user)
    yield Told(at, user, key, value)


def _triggered(job: jobs.Trigger) -> Iterator[Fact | Identified]:
    named: dict[str, None] = {}
    if isinstance(job.actor, jobs.UserUpdate):
        yield from _telling(job.actor, stamp(job.occurred_at, job.id))
    for place, recipient in enumerate(job.recipients, start=1):
        if isinstance(recipient, jobs.UserUpdate):
            yield from _telling(recipient, stamp(job.occurred_at, job.id, place))
            named[recipient.id] = None
        else:
            named[recipient] = None
    at = rows_stamp(job)
    actor = job.actor.id if isinstance(job.actor, jobs.UserUpdate) else job.actor
    yield Triggered(at, job.id, job.workflow, actor, job.tenant, tuple(job.categories), job.data)
    for user in named:
        yield Activity(at, activity_id(job.id, user), job.id, user)
        for channel in dict.fromkeys(job.channels):
            yield Message(at, message_id(job.id, user, channel), job.id, user, channel)
