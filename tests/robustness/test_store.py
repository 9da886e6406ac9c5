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
    found: dict[str, list[tuple[InvalidCase, str]]] = {}
    """By digest. Messages of the same text, such as `{}` and the text "{}", share one dead letter."""
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
        for case, arrival in zip(cases, batch[::2], strict=True):
            found.setdefault(arrival.digest.hex(), []).append((case, arrival.text))

    dead_letters = subject.connection.execute(
        "SELECT encode(digest, 'hex'), code, reason, body FROM rollbook.dead_letters"
    )
    kept = {digest: (code, reason, body) for digest, code, reason, body in dead_letters}
    assert kept.keys() == found.keys()
    for digest, cases_of_text in found.items():
        code, reason, body = kept[digest]
        names = [case.name for case, _ in cases_of_text]
        assert code in {case.code for case, _ in cases_of_text}, names
        assert any(case.word in reason for case, _ in cases_of_text if case.code == code), names
        assert {bytes(body).decode(errors="surrogatepass")} == {text for _, text in cases_of_text}, names
    assert set(subject.world()["users"]) == {f"good-{number}" for number in range(len(corpus()))}
