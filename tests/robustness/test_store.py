"""For any message, the store names the problem in a dead letter, and applies the rest of the batch."""

from __future__ import annotations

from collections import Counter

from tests.support.builders import NOW, identify
from tests.support.robustness.invalid_jobs import InvalidCase, corpus
from tests.support.stores import OnPostgres

from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import ReceivedJob

BATCH = 50


def test_there_are_a_thousand_distinct_cases() -> None:
    messages = {repr(case.message) for case in corpus()}

    assert len(messages) == len(corpus()) >= 1_000
    assert set(Counter(case.code for case in corpus())) == {"malformed", "unknown_version", "unknown_kind", "invalid"}


def test_an_invalid_job_becomes_a_dead_letter_and_its_neighbours_are_applied(subject: OnPostgres) -> None:
    found: dict[str, tuple[InvalidCase, str]] = {}
    for start in range(0, len(corpus()), BATCH):
        cases = corpus()[start : start + BATCH]
        batch = [
            arrival
            for number, case in enumerate(cases, start)
            for arrival in (
                ReceivedJob.of(case.message),
                ReceivedJob.of(encode(identify(f"good-{number}", at=1, plus=number))),
            )
        ]

        outcomes = subject.store.apply(batch, now=NOW)

        assert [outcome.state for outcome in outcomes[1::2]] == [JobState.APPLIED] * len(cases)
        said = {case.name: (outcome.state, outcome.code) for case, outcome in zip(cases, outcomes[::2], strict=True)}
        assert said == {case.name: (JobState.DEAD, case.code) for case in cases}
        found |= {arrival.digest.hex(): (case, arrival.text) for case, arrival in zip(cases, batch[::2], strict=True)}

    dead_letters = subject.connection.execute(
        "SELECT encode(digest, 'hex'), code, reason, body FROM rollbook.dead_letters"
    )
    kept = {digest: (code, reason, body) for digest, code, reason, body in dead_letters}
    assert kept.keys() == found.keys()
    for digest, (case, text) in found.items():
        code, reason, body = kept[digest]
        assert (case.name, code) == (case.name, case.code)
        assert case.word in reason, case.name
        assert bytes(body).decode(errors="surrogatepass") == text, case.name
    assert set(subject.world()["users"]) == {f"good-{number}" for number in range(len(corpus()))}
