"""Whatever the contract lets in is kept by every store and read back the same."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.arbitrary_jobs import any_job
from tests.support.builders import NOW, identify
from tests.support.example_counts import examples
from tests.support.stores import Subject, arrive

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference


@examples(100)
@given(sent=st.lists(any_job, max_size=4, unique_by=lambda job: job.id))
def test_any_jobs_the_contract_allows_converge_to_the_reference(sent: list[Job], subject: Subject) -> None:
    subject.reset()
    jobs = [job.model_copy(update={"occurred_at": job.occurred_at % NOW}) for job in sent]

    outcomes = arrive(subject, *map(encode, jobs), now=NOW)

    assert {outcome.state.value for outcome in outcomes} <= {"applied"}
    assert first_difference(_rounded(subject.world()), _rounded(oracle(jobs))) is None


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**63, 2**1024 - 1, 0.1, 1.5e15, 5e-324, True, None, "", "\x01\x7f", "\U0001f600", [], {}, {"": [{}]}],
    ids=ascii,
)
def test_a_value_is_read_back_as_it_was_sent(value: Any, subject: Subject) -> None:
    arrive(subject, encode(identify("a", k=value, at=1)), now=NOW)

    read = subject.world()["users"]["a"]["properties"]["k"]

    assert (read, isinstance(read, bool)) == (value, isinstance(value, bool))


def _rounded(value: Any) -> Any:
    """Numbers as doubles, where they fit: Postgres keeps decimals, so that 1.5e300 is read back as a whole number."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    return value
