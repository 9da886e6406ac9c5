"""Feeds of generated histories show what the reference says each user owns (rules 9, 14, 19 and 22)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple, get_args
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.support.builders import NOW, identify, mark_all, trigger
from tests.support.conflicting_jobs import job_sets, timestamps, user_ids
from tests.support.example_counts import examples
from tests.support.stores import ENGAGEMENTS, OnPostgres, arrive

from rollbook import Feed, Message, Rollbook
from rollbook.models import Engagement, FeedStatus
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import Stamp, microseconds, stamp
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Mark, Trigger, UserUpdate
from rollbook_shared.reference.oracle import oracle

USERS = "abcd"


class Item(NamedTuple):
    """What a feed shows of a message: enough to see whether it is the right one, in the right place."""

    stamp: Stamp
    id: str
    workflow: str
    actor: str | None
    is_actor_missing: bool
    marks: Mapping[str, int]
    """Each with its time."""


@st.composite
def histories(draw: DrawFn) -> list[Job]:
    """Jobs, and more that mark messages which others make, all in any order."""
    jobs = draw(job_sets)
    if ids := sorted(sent_at(jobs)):
        marked = st.tuples(
            st.lists(st.sampled_from(ids), min_size=1),
            st.sampled_from(get_args(Engagement)),
            timestamps,
            st.none() | user_ids,
        )
        for number, (chosen, engagement, at, user_id) in enumerate(draw(st.lists(marked, max_size=5))):
            jobs.append(
                Mark(
                    id=f"mark-{number}",
                    occurred_at=at,
                    message_ids=tuple(map(UUID, chosen)),
                    engagement=engagement,
                    user_id=user_id,
                )
            )
    return draw(st.permutations(jobs))


def sent_at(jobs: Sequence[Job]) -> dict[str, Stamp]:
    """Every message that the jobs may make, and its stamp: after the last of the inline recipients."""
    return {
        str(message_id(job.id, person.id if isinstance(person, UserUpdate) else person, channel)): stamp(
            job.occurred_at, job.id, len(job.recipients) + 1
        )
        for job in jobs
        if isinstance(job, Trigger)
        for person, channel in product(job.recipients, job.channels)
    }


def expected(jobs: Sequence[Job], user_id: str, channel: str) -> list[Item]:
    """What the reference says, newest first."""
    stamps = sent_at(jobs)
    items = [
        Item(stamps[id_], id_, row["workflow"], row["actor"], row["missing_actor"], row["engagements"])
        for id_, row in oracle(jobs)["messages"].items()
        if row["owner"] == user_id and row["channel"] == channel
    ]
    return sorted(items, reverse=True)


def times_of(item: Message) -> dict[str, int]:
    """The engagements of a message as read, each with its time; one without a time is not set."""
    times = {name: getattr(item, f"{name}_at") for name in ENGAGEMENTS}
    assert {name for name in ENGAGEMENTS if getattr(item, name)} == {name for name, at in times.items() if at}
    return {name: microseconds(at) for name, at in times.items() if at}


def pages(rb: Rollbook, user_id: str, channel: str, status: FeedStatus) -> Iterator[Feed]:
    feed = rb.feeds.list(user_id, channel=channel, status=status, limit=2)
    yield feed
    while feed.after is not None:
        feed = rb.feeds.list(user_id, channel=channel, status=status, limit=2, after=feed.after)
        yield feed


@pytest.fixture(scope="module")
def subject(database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(database_url)
    yield subject
    subject.close()


@pytest.fixture(scope="module")
def rb(database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=database_url) as rb:
        yield rb


@examples(60)
# rarely generated: marking all marks what occurred before, and nothing that occurs later
@example(
    jobs=[identify("a", at=1), trigger("w", ["a"], at=2), mark_all("a", "read", at=3), trigger("w", ["a"], at=4)],
    user_id="a",
    channel="in_app",
)
@given(jobs=histories(), user_id=st.sampled_from(USERS), channel=st.sampled_from(["in_app", "email"]))
def test_rule_22_every_feed_is_what_the_reference_says(
    jobs: list[Job], user_id: str, channel: str, subject: OnPostgres, rb: Rollbook
) -> None:
    subject.reset()

    arrive(subject, *map(encode, jobs), now=NOW)

    every = expected(jobs, user_id, channel)
    wanted = {
        "all": [item for item in every if "archived" not in item.marks],
        "unseen": [item for item in every if not item.marks.keys() & {"archived", "seen"}],
        "seen": [item for item in every if "seen" in item.marks and "archived" not in item.marks],
        "unread": [item for item in every if not item.marks.keys() & {"archived", "read"}],
        "read": [item for item in every if "read" in item.marks and "archived" not in item.marks],
        "archived": [item for item in every if "archived" in item.marks],
    }
    for status in get_args(FeedStatus):
        listed = list(pages(rb, user_id, channel, status))
        assert [
            (
                item.id,
                item.workflow,
                item.actor and item.actor.id,
                item.actor is not None and item.actor.missing,
                times_of(item),
            )
            for page in listed
            for item in page.items
        ] == [(item.id, item.workflow, item.actor, item.is_actor_missing, item.marks) for item in wanted[status]]
        for page in listed:
            assert (page.total, page.unseen, page.unread) == (
                len(wanted["all"]),
                len(wanted["unseen"]),
                len(wanted["unread"]),
            )
            assert page.counts_are_exact
    for number in (1, 2, 5):
        page = rb.feeds.list(user_id, channel=channel, count_newest=number)
        newest = [item for item in every[:number] if "archived" not in item.marks]
        assert (page.total, page.unseen, page.unread, page.counts_are_exact) == (
            len(newest),
            len([item for item in newest if "seen" not in item.marks]),
            len([item for item in newest if "read" not in item.marks]),
            len(every) <= number,
        )


@examples(40)
@given(jobs=job_sets, user_id=st.sampled_from(USERS))
def test_rules_9_and_14_activities_of_both_roles_are_what_the_reference_says(
    jobs: list[Job], user_id: str, subject: OnPostgres, rb: Rollbook
) -> None:
    subject.reset()

    arrive(subject, *map(encode, jobs), now=NOW)

    listed = oracle(jobs)["activities"]
    for role, column in (("recipient", "owner"), ("actor", "actor")):
        page = rb.activities.list(user_id, role=role)  # type: ignore[arg-type]
        assert {
            item.id: (item.recipient, item.actor and item.actor.id, item.actor is not None and item.actor.missing)
            for item in page.items
        } == {
            id_: (row["owner"], row["actor"], row["missing_actor"])
            for id_, row in listed.items()
            if row[column] == user_id  # type: ignore[literal-required]
        }
