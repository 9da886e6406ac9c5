"""Which users' feeds a job may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from rollbook_shared.jobs.models import Identify, Job, Mark, Trigger


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedFeeds:
    """What some jobs may have changed."""

    user_ids: frozenset[str]
    message_ids: frozenset[UUID]
    """Of messages whose recipients the jobs do not name."""


def changed_feeds(jobs: Sequence[Job]) -> ChangedFeeds:
    """The feeds that the jobs may have changed.

    All users that a job names: an identify that arrives late makes messages appear that were addressed to an unknown
    user, and an identify or a preference set may hold opt-outs.
    """
    users: set[str] = set()
    messages: set[UUID] = set()
    for job in jobs:
        match job:
            case Identify(user=user):  # nearly all
                users.add(user.id)
            case Trigger(recipients=recipients, actor=None):  # `user_ids` costs a third of all this
                users.update([user if isinstance(user, str) else user.id for user in recipients])
            case Mark(user_id=None, message_ids=ids):
                messages.update(ids)
            case _:
                users.update(job.user_ids)
    return ChangedFeeds(user_ids=frozenset(users), message_ids=frozenset(messages))
