"""Generated messages, hundreds at a time: each has its own outcome, and none affects another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.arbitrary_jobs import messages
from tests.support.builders import NOW, identify
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres

from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import ReceivedJob

BATCH = 40


@examples(40)
@given(batch=st.lists(messages, min_size=BATCH // 2, max_size=BATCH), start=st.integers(0, 1 << 40))
def test_each_message_of_any_batch_has_its_own_outcome(subject: OnPostgres, batch: list[Any], start: int) -> None:
    good = [encode(identify(f"good {start}", at=1, plus=number, job=f"good-{start}-{number}")) for number in range(5)]
    arrivals = list(map(ReceivedJob.of, [*good[:2], *batch, *good[2:]]))

    outcomes = subject.store.apply(arrivals, now=NOW)

    assert len(outcomes) == len(arrivals)
    assert {outcome.state for outcome in (*outcomes[:2], *outcomes[-3:])} <= {JobState.APPLIED, JobState.DUPLICATE}
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        if isinstance(arrival.job, Undecodable):
            assert (outcome.state, outcome.code) == (JobState.DEAD, arrival.job.code)
        else:
            assert outcome.state is not JobState.DEAD or outcome.code == "id_reused"
    assert {outcome.code for outcome in outcomes} <= {
        None,
        "malformed",
        "unknown_version",
        "unknown_kind",
        "invalid",
        "id_reused",
    }
