"""What explains a user or a message is what the reference says, whatever the order in which the jobs arrive."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from tests.rules.cases import CASES
from tests.support.builders import NOW
from tests.support.conflicting_jobs import Delivery, deliveries
from tests.support.example_counts import examples
from tests.support.explained import Causes, causes_of, causes_of_facts, expected
from tests.support.rule_case import Case
from tests.support.stores import InMemory, OnPostgres, Subject, arrive

from rollbook import Rollbook, UserNotFound
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import datetime_of, microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Trigger, UserUpdate
from rollbook_shared.reference.oracle import HISTORY, oracle
from rollbook_worker.core import trigger_stamp


@pytest.fixture(scope="module")
def rb(on_postgres: OnPostgres) -> Iterator[Rollbook]:
    with Rollbook(database_url=on_postgres.url) as rb:
        yield rb


def explained(subject: Subject, request: pytest.FixtureRequest) -> dict[str, Causes]:
    """The causes of each user's values, of users who have a value."""
    if isinstance(subject, InMemory):
        return causes_of_facts(subject.store.kept.values())
    rb: Rollbook = request.getfixturevalue("rb")
    causes = {user: causes_of(rb.users.explain(user)) for user in subject.world()["users"]}
    return {user: known for user, known in causes.items() if known}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_each_value_of_a_rule_has_its_job(case: Case, subject: Subject, request: pytest.FixtureRequest) -> None:
    jobs = list(case.given)
    random.Random(len(jobs)).shuffle(jobs)

    for job in (*jobs, jobs[0]):
        arrive(subject, encode(job), now=NOW)

    assert explained(subject, request) == expected(case.given)


@examples(60)
@given(delivery=deliveries())
def test_any_delivery_explains_as_the_reference_does(
    delivery: Delivery, subject: Subject, request: pytest.FixtureRequest
) -> None:
    subject.reset()

    for batch in delivery.batches:
        arrive(subject, *map(encode, batch), now=NOW)

    assert explained(subject, request) == expected(delivery.jobs)


@pytest.mark.servers
@examples(40)
@given(delivery=deliveries())
def test_any_message_is_explained_as_it_is_seen(delivery: Delivery, on_postgres: OnPostgres, rb: Rollbook) -> None:
    on_postgres.reset()
    for batch in delivery.batches:
        arrive(on_postgres, *map(encode, batch), now=NOW)

    world = oracle(delivery.jobs)

    distinct: dict[str, Job] = {}
    for job in delivery.jobs:
        distinct.setdefault(job.id, job)
    for job in distinct.values():
        if not isinstance(job, Trigger):
            continue
        for recipient in {one.id if isinstance(one, UserUpdate) else one for one in job.recipients}:
            for channel in set(job.channels):
                check_message(rb, world["messages"], job, recipient, channel, delivery.jobs)


def check_message(rb: Rollbook, seen: object, job: Trigger, recipient: str, channel: str, sent: list[Job]) -> None:
    assert isinstance(seen, dict)
    id_ = str(message_id(job.id, recipient, channel))
    explanation = rb.messages.explain_recipient(job.id, recipient, channel=channel)
    if explanation is None:
        assert id_ not in seen
        return
    assert explanation == rb.messages.explain(id_)
    assert explanation.is_visible == (id_ in seen)
    if id_ in seen:
        assert explanation.owner == seen[id_]["owner"]
    assert (explanation.owner is None) == (explanation.owner_reason in ("unknown", "deleted", "too_old"))
    if explanation.owner is not None:
        moved = [event.user_id for event in explanation.events]
        assert (explanation.owner_reason == "merged") == bool(moved)
    if explanation.owner_reason == "too_old":
        merged_at = microseconds(explanation.events[-1].occurred_at)
        assert job.occurred_at < merged_at - HISTORY // timedelta(microseconds=1)
    if explanation.owner_reason == "unknown":
        return  # no user had the preferences
    then = expected(sent, until=trigger_stamp(job))
    causes = [known for known in then.values() if known]
    for setting in explanation.settings:
        if setting.value is None:
            continue
        path = ("preferences", explanation.preference_set or "", *setting.path)
        assert (setting.occurred_at, setting.job_id, setting.user_id, setting.value) in [
            (datetime_of(one.occurred_at), one.job_id, one.user_id, one.value)
            for known in causes
            if (one := known.get(path)) is not None
        ]


@pytest.mark.servers
def test_an_id_of_which_nothing_is_known_is_not_explained(on_postgres: OnPostgres, rb: Rollbook) -> None:
    on_postgres.reset()

    with pytest.raises(UserNotFound):
        rb.users.explain("unknown")
    assert rb.messages.explain(message_id("none", "ann", "in_app")) is None
