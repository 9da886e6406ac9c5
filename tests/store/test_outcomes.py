"""What becomes of each job (rules 5, 23, 25 to 28): the outcome, the ledger, the dead letters, the deferred ones."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    bulk_delete,
    bulk_identify,
    bulk_set_preferences,
    day,
    delete,
    identify,
    merge,
    trigger,
    user,
)
from tests.support.stores import Subject, arrive

from rollbook_shared.job_states import JobState, StandingJob
from rollbook_shared.jobs.codec import VERSION, encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import Outcome, ReceivedJob

MINUTE = 60 * 1_000_000


def states(outcomes: list[Outcome]) -> list[str]:
    return [outcome.state.value for outcome in outcomes]


def ids(subject: Subject) -> set[str]:
    return set(subject.world()["users"])


def bulk(*users: Any) -> str:
    payload = {"v": VERSION, "kind": "bulk_identify", "id": "bulk", "occurred_at": day(1), "users": list(users)}
    return json.dumps(payload)


def spoilt(job: Job, **fields: Any) -> str:
    return json.dumps({**json.loads(encode(job)), **fields})


class TestRule5BulkJobs:
    def test_invalid_users_are_rejected_with_index_field_and_reason_and_valid_ones_applied(
        self, subject: Subject
    ) -> None:
        message = bulk({"id": "a"}, {"id": ""}, {"id": "b", "traits": {"email": "nobody"}}, {"id": "c"})

        outcomes = arrive(subject, message, now=NOW)

        assert states(outcomes) == ["applied"]
        assert ids(subject) == {"a", "c"}
        assert subject.ledger()["bulk"][2] == {
            "applied": 2,
            "rejected": [
                {"index": 1, "field": "users[1].id", "reason": "must not be empty"},
                {"index": 2, "field": "users[2].email", "reason": "must be an e-mail address"},
            ],
        }

    def test_a_bulk_job_with_only_invalid_users_is_rejected(self, subject: Subject) -> None:
        outcomes = arrive(subject, bulk({"id": ""}, {"id": "a/b"}), now=NOW)

        assert states(outcomes) == ["rejected"]
        assert subject.ledger()["bulk"][0] == "rejected"
        assert ids(subject) == set()

    def test_a_bulk_job_without_invalid_users_only_counts_the_applied(self, subject: Subject) -> None:
        jobs: list[Job] = [
            bulk_identify(user("a"), user("b"), at=1, job="identified"),
            bulk_set_preferences(["a", "b", "c"], "default", {}, at=2, job="set"),
            bulk_delete("a", at=3, job="deleted"),
        ]

        arrive(subject, *map(encode, jobs), now=NOW)

        assert subject.ledger() == {
            "identified": ("applied", 0, {"applied": 2}),
            "set": ("applied", 0, {"applied": 3}),
            "deleted": ("applied", 0, {"applied": 1}),
        }

    @pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5_000], ids=["NUL", "surrogate", "long"])
    def test_an_invalid_user_with_an_unstorable_key_does_not_affect_valid_ones(
        self, subject: Subject, name: str
    ) -> None:
        message = bulk({"id": "a", name: 1}, {"id": "b", "preferences": {name: 1}}, {"id": "c"})

        outcomes = arrive(subject, message, now=NOW)

        assert states(outcomes) == ["applied"]
        assert ids(subject) == {"c"}


class TestRule8Skipped:
    def test_the_outcome_of_a_trigger_names_the_recipients_that_were_skipped(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", at=1)), now=NOW)

        outcomes = arrive(subject, encode(trigger("hello", ["c", "a", "b"], at=2, job="it")), now=NOW)

        assert states(outcomes) == ["applied"]
        assert subject.ledger()["it"] == ("applied", 0, {"skipped": ["b", "c"]})

    def test_a_recipient_identified_in_the_same_batch_is_not_skipped(self, subject: Subject) -> None:
        arrive(subject, encode(trigger("hello", ["a"], at=2, job="it")), encode(identify("a", at=1)), now=NOW)

        assert subject.ledger()["it"] == ("applied", 0, None)

    def test_a_recipient_deleted_before_is_skipped(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", at=1)), encode(delete("a", at=2)), now=NOW)

        arrive(subject, encode(trigger("hello", ["a"], at=3, job="it")), now=NOW)

        assert subject.ledger()["it"][2] == {"skipped": ["a"]}

    def test_a_recipient_deleted_before_and_again_after_is_skipped(self, subject: Subject) -> None:
        jobs: list[Job] = [identify("a", at=1), delete("a", at=2), delete("a", at=5)]
        arrive(subject, *map(encode, jobs), now=NOW)

        arrive(subject, encode(trigger("hello", ["a"], at=3, job="it")), now=NOW)

        assert subject.ledger()["it"][2] == {"skipped": ["a"]}

    def test_a_recipient_deleted_only_after_is_not_skipped(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", at=1)), encode(delete("a", at=3)), now=NOW)

        arrive(subject, encode(trigger("hello", ["a"], at=2, job="it")), now=NOW)

        assert subject.ledger()["it"][2] is None

    def test_a_recipient_whose_primary_was_deleted_only_after_is_not_skipped(self, subject: Subject) -> None:
        jobs: list[Job] = [identify("a", at=1), merge("a", "b", at=2), delete("a", at=9)]
        arrive(subject, *map(encode, jobs), now=NOW)

        arrive(subject, encode(trigger("hello", ["b"], at=3, job="it")), now=NOW)

        assert subject.ledger()["it"][2] is None

    def test_a_recipient_merged_away_only_after_is_not_skipped_however_old_the_trigger(self, subject: Subject) -> None:
        jobs: list[Job] = [identify("a", at=1), merge("b", "a", at=90)]
        arrive(subject, *map(encode, jobs), now=NOW)

        arrive(subject, encode(trigger("hello", ["a"], at=2, job="it")), now=NOW)

        assert subject.ledger()["it"][2] is None


class TestRule23Duplicates:
    def test_a_redelivered_job_is_a_duplicate_and_counted(self, subject: Subject) -> None:
        message = encode(identify("a", plan="pro", at=1, job="it"))

        first = arrive(subject, message, message, now=NOW)
        again = arrive(subject, message, now=NOW)

        assert states(first + again) == ["applied", "duplicate", "duplicate"]
        assert subject.ledger()["it"] == ("applied", 2, None)

    def test_a_job_sent_again_with_another_time_is_the_same_job_and_the_first_stands(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", plan="pro", at=1, job="it")), now=NOW)
        before = subject.world()

        outcomes = arrive(subject, encode(identify("a", plan="pro", at=9, job="it")), now=NOW)

        assert states(outcomes) == ["duplicate"]
        assert subject.world() == before

    def test_a_redelivered_rejected_job_is_a_duplicate(self, subject: Subject) -> None:
        outcomes = arrive(subject, bulk({"id": ""}), bulk({"id": ""}), now=NOW)

        assert states(outcomes) == ["rejected", "duplicate"]

    @pytest.mark.parametrize(
        ("message", "now", "state"),
        [
            (encode(identify("a", at=1, job="bulk")), NOW, JobState.APPLIED),
            (bulk({"id": ""}), NOW, JobState.REJECTED),
            (encode(identify("a", at=1, job="bulk")), day(0), JobState.DEFERRED),
        ],
    )
    def test_a_duplicate_says_what_became_of_the_job(
        self, subject: Subject, message: str, now: int, state: JobState
    ) -> None:
        kind = json.loads(message)["kind"]

        outcomes = arrive(subject, message, message, now=now) + arrive(subject, message, now=now)

        standing = StandingJob(kind=kind, state=state)
        assert [outcome.standing for outcome in outcomes] == [None, standing, standing]


class TestRule25ReusedIds:
    def test_another_job_with_the_same_id_is_dead_and_the_first_stands(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", plan="pro", at=1, job="it")), now=NOW)
        before = subject.world()

        (outcome,) = arrive(subject, encode(identify("a", plan="free", at=2, job="it")), now=NOW)

        assert (outcome.state.value, outcome.code, outcome.job_id) == ("dead", "id_reused", "it")
        assert subject.world() == before
        assert subject.ledger()["it"] == ("applied", 0, None)
        assert subject.dead() == [("it", "id_reused")]

    def test_a_dead_letter_says_which_it_is_and_which_job_its_id_belongs_to(self, subject: Subject) -> None:
        others = [encode(delete("b", at=2, job="it")), encode(delete("c", at=2, job="it"))]

        first, *later = arrive(subject, encode(identify("a", at=1, job="it")), *others, now=NOW)
        later += arrive(subject, others[0], now=NOW)

        assert (first.key, first.standing) == (None, None)
        assert {outcome.standing for outcome in later} == {StandingJob(kind="identify", state=JobState.APPLIED)}
        assert later[0].key == later[2].key != later[1].key

    def test_a_malformed_message_with_the_id_of_a_job_says_so(self, subject: Subject) -> None:
        message = spoilt(delete("x", at=1, job="it"), kind="remove")

        before = arrive(subject, message, now=NOW)
        after = arrive(subject, encode(identify("a", at=1, job="it")), message, now=NOW) + arrive(
            subject, message, now=NOW
        )

        assert before[0].standing is None
        assert [outcome.standing for outcome in after[1:]] == [StandingJob(kind="identify", state=JobState.APPLIED)] * 2

    def test_ids_are_deduplicated_within_one_batch_too(self, subject: Subject) -> None:
        outcomes = arrive(
            subject,
            encode(identify("a", at=1, job="it")),
            encode(delete("a", at=2, job="it")),
            encode(identify("a", at=3, job="it")),
            now=NOW,
        )

        assert states(outcomes) == ["applied", "dead", "duplicate"]
        assert ids(subject) == {"a"}

    def test_two_other_jobs_with_one_id_are_two_dead_letters_each_kept_once(self, subject: Subject) -> None:
        others = [encode(delete(user_id, at=2, job="it")) for user_id in "bcb"]

        arrive(subject, encode(delete("a", at=1, job="it")), *others, now=NOW)

        assert subject.dead() == [("it", "id_reused")] * 2


class TestRule26FutureStamps:
    def test_a_stamp_five_minutes_ahead_is_applied(self, subject: Subject) -> None:
        outcomes = arrive(subject, encode(identify("a", at=1)), now=day(1) - 5 * MINUTE)

        assert states(outcomes) == ["applied"]

    def test_a_stamp_further_ahead_is_deferred(self, subject: Subject) -> None:
        outcomes = arrive(subject, encode(identify("a", at=1, job="it")), now=day(1) - 5 * MINUTE - 1)

        assert states(outcomes) == ["deferred"]
        assert subject.deferred() == ["it"]
        assert subject.ledger()["it"][0] == "deferred"
        assert ids(subject) == set()

    def test_a_deferred_job_takes_effect_once_when_due(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", at=1, job="it")), now=day(0))

        early, due, again = (subject.release_due(now=now) for now in (day(1) - 1, day(1), day(2)))

        assert (early, due, again) == (0, 1, 0)
        assert subject.deferred() == []
        assert subject.ledger()["it"][0] == "applied"
        assert ids(subject) == {"a"}

    def test_a_deferred_job_keeps_its_place_in_the_order(self, subject: Subject) -> None:
        arrive(subject, encode(identify("a", plan="second", at=2, job="it")), now=day(0))
        arrive(subject, *map(encode, [identify("a", plan="third", at=3), identify("a", plan="first", at=1)]), now=NOW)

        subject.release_due(now=NOW)

        assert subject.world()["users"]["a"]["properties"] == {"plan": "third"}

    def test_a_redelivered_deferred_job_is_a_duplicate_even_when_due(self, subject: Subject) -> None:
        message = encode(identify("a", at=1, job="it"))

        outcomes = [arrive(subject, message, now=now)[0] for now in (day(0), day(0), day(1))]

        assert states(outcomes) == ["deferred", "duplicate", "duplicate"]
        assert subject.release_due(now=day(1)) == 1

    def test_jobs_in_a_batch_with_a_deferred_one_are_applied(self, subject: Subject) -> None:
        outcomes = arrive(subject, *map(encode, [identify("a", at=9), identify("b", at=1)]), now=day(1))

        assert states(outcomes) == ["deferred", "applied"]
        assert ids(subject) == {"b"}


BAD_MESSAGES = {
    "no text": b"\xff",
    "no JSON": "{",
    "half of a surrogate pair": "\ud800",
    "a NUL": "\0",
    "no object": "[]",
    "another version": spoilt(delete("x", at=1, job="bad"), v=2),
    "another kind": spoilt(delete("x", at=1, job="bad"), kind="remove"),
    "a field too many": spoilt(delete("x", at=1, job="bad"), reason="x"),
    "an empty user id": spoilt(delete("x", at=1, job="bad"), user_id=""),
    "itself merged": spoilt(merge("x", "y", at=1, job="bad"), primary_id="y"),
    "a NUL in the job id": spoilt(delete("x", at=1), id="a\0b"),
    "a half of a surrogate pair in the job id": spoilt(delete("x", at=1), id="\ud800"),
    "a job id without end": spoilt(delete("x", at=1), id=random.Random(1).randbytes(50_000).hex()),
    "a NUL in the kind": spoilt(delete("x", at=1, job="bad"), kind="\0"),
    "a half of a surrogate pair in the kind": spoilt(delete("x", at=1, job="bad"), kind="\udc00"),
    "a NUL in a field's name": spoilt(delete("x", at=1, job="bad"), **{"\0": 1}),
    "a half of a surrogate pair in a field's name": spoilt(delete("x", at=1, job="bad"), **{"\ud800": 1}),
    "a job id that is no text": spoilt(delete("x", at=1), id=5),
    "a job id that is empty": spoilt(delete("x", at=1), id=""),
}


class TestRule27DeadLetters:
    @pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
    def test_a_malformed_message_alone_becomes_a_dead_letter_in_its_batch(
        self, subject: Subject, message: object
    ) -> None:
        good = [encode(identify(user_id, at=1)) for user_id in "ab"]

        outcomes = arrive(subject, good[0], message, good[1], now=NOW)

        assert states(outcomes) == ["applied", "dead", "applied"]
        assert ids(subject) == {"a", "b"}
        assert len(subject.dead()) == 1

    @pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
    def test_a_redelivered_malformed_message_is_one_dead_letter(self, subject: Subject, message: object) -> None:
        first = arrive(subject, message, message, now=NOW)
        again = arrive(subject, message, now=NOW)

        assert states(first + again) == ["dead"] * 3
        assert len({outcome.job_id for outcome in first + again}) == 1
        assert len(subject.dead()) == 1

    def test_a_dead_letter_has_the_id_of_its_job_if_there_is_one(self, subject: Subject) -> None:
        (outcome,) = arrive(subject, spoilt(delete("x", at=1, job="bad"), kind="remove"), now=NOW)

        assert (outcome.job_id, outcome.kind, outcome.code) == ("bad", "remove", "unknown_kind")
        assert subject.dead() == [("bad", "unknown_kind")]

    def test_a_job_with_the_id_of_a_dead_letter_is_applied(self, subject: Subject) -> None:
        arrive(subject, spoilt(identify("a", at=1, job="bad"), user={"id": ""}), now=NOW)

        outcomes = arrive(subject, encode(identify("a", at=1, job="bad")), now=NOW)

        assert states(outcomes) == ["applied"]
        assert ids(subject) == {"a"}


def test_an_empty_batch_has_no_outcomes(subject: Subject) -> None:
    assert subject.store.apply([], now=NOW) == []


def test_outcomes_are_in_the_order_of_the_received_jobs(subject: Subject) -> None:
    jobs = [identify(user_id, at=1, job=user_id) for user_id in "zamb"]

    outcomes = subject.store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=NOW)

    assert [outcome.job_id for outcome in outcomes] == ["z", "a", "m", "b"]
