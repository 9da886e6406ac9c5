"""Marks on messages (rules 14 and 22): the newest of each kind stands, in any order, and they come along in a merge."""

from __future__ import annotations

from itertools import permutations
from uuid import UUID

from tests.support.builders import NOW, delete, mark, merge, trigger, user
from tests.support.stores import Subject, arrive

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job

HELLO = trigger("hello", [user("a")], at=1, job="hello")
MESSAGE: UUID = message_id("hello", "a", "in_app")


def test_rule_22_the_newest_state_of_each_engagement_stands_in_every_order(subject: Subject) -> None:
    jobs: list[Job] = [
        HELLO,
        mark([MESSAGE], "read", at=2),
        mark([MESSAGE], "seen", at=3),
        mark([MESSAGE], "unread", at=4),
    ]

    for order in permutations(jobs):
        subject.reset()
        for job in order:
            arrive(subject, encode(job), now=NOW)

        assert subject.engagements() == {str(MESSAGE): {"seen"}}, [job.id for job in order]


def test_rule_22_a_cleared_engagement_can_be_set_again(subject: Subject) -> None:
    jobs: list[Job] = [
        HELLO,
        mark([MESSAGE], "archived", at=2),
        mark([MESSAGE], "unarchived", at=3),
        mark([MESSAGE], "archived", at=4, job="again"),
    ]

    arrive(subject, *map(encode, reversed(jobs)), now=NOW)

    assert subject.engagements() == {str(MESSAGE): {"archived"}}


def test_rule_14_a_merge_transfers_engagements(subject: Subject) -> None:
    jobs: list[Job] = [HELLO, mark([MESSAGE], "read", at=2), merge("b", "a", at=3), mark([MESSAGE], "seen", at=4)]

    arrive(subject, *map(encode, jobs), now=NOW)

    assert subject.world()["messages"][str(MESSAGE)]["owner"] == "b"
    assert subject.engagements() == {str(MESSAGE): {"read", "seen"}}


def test_an_engagement_of_an_unowned_message_is_not_shown(subject: Subject) -> None:
    jobs: list[Job] = [HELLO, mark([MESSAGE], "read", at=2), delete("a", at=3)]

    outcomes = arrive(subject, *map(encode, jobs), now=NOW)

    assert {outcome.state.value for outcome in outcomes} == {"applied"}
    assert subject.engagements() == {}
