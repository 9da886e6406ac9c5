"""Which facts lie in which bucket: each with the ids that it names. So one bucket has all that was said of an id."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from tests.support.facts import single_facts_of

from rollbook_shared.jobs.models import Job
from rollbook_worker.core import (
    ActivityCreated,
    EngagementChanged,
    Fact,
    MessageCreated,
    PushTokenSent,
    UserDeleted,
    UsersMerged,
    WorkflowTriggered,
)


def bucket_number(name: str, buckets: int) -> int:
    """The bucket to which an id, or another name, falls."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % buckets


def placed_facts(job: Job) -> Iterator[tuple[str, Fact]]:
    """The facts of a job, each with every name whose bucket has it."""
    facts = list(single_facts_of(job))
    recipients = [fact.recipient for fact in facts if isinstance(fact, ActivityCreated)]
    for fact in facts:
        match fact:
            case WorkflowTriggered():
                names = recipients
            case ActivityCreated() | MessageCreated():
                names = [fact.recipient]
            case EngagementChanged():  # the job does not say to whom the message was addressed
                names = [str(fact.message_id)]
            case PushTokenSent():  # is looked up by the token, over all users
                names = [fact.token]
            case _:
                names = list(projected_ids(fact))
        for name in names:
            yield name, fact


def projected_ids(fact: Fact) -> tuple[str, ...]:
    """The ids whose users the fact may change."""
    match fact:
        case UserDeleted() | UsersMerged():
            return fact.user_ids
        case WorkflowTriggered() | ActivityCreated() | MessageCreated() | EngagementChanged() | PushTokenSent():
            return ()
        case _:
            return (fact.user_id,)
