"""Messages far larger than any job are handled quickly, and only their start is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import MAX_TEXT, encode

MEGA = 1_000_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: "x" * (100 * MEGA),
        lambda: (
            '{"v":1,"kind":"identify","id":"large","occurred_at":5,"user":{"id":"u","traits":{"a":"'
            + "x" * (100 * MEGA)
            + '"}}}'
        ),
        lambda: "\U0001f600" * (30 * MEGA),  # 120 MB in bytes
    ],
    ids=["junk", "a job", "few characters of many bytes"],
)
def test_a_message_of_100_mb_becomes_a_dead_letter_of_one(subject: OnPostgres, make: Callable[[], str]) -> None:
    large, good = arrive(subject, make(), encode(identify("good", at=1)), now=NOW)

    assert (large.state, large.code, good.state) == (JobState.DEAD, "malformed", JobState.APPLIED)
    dead_letters = subject.connection.execute("SELECT reason, length(body) FROM rollbook.dead_letters").fetchall()
    ((reason, kept),) = dead_letters
    assert "its first" in reason
    assert kept < 5 * MEGA


def test_a_dead_letter_of_the_size_limit_is_kept_whole(subject: OnPostgres) -> None:
    text = '{"v":1,"kind":"fly","a":"' + "x" * (20 * MEGA) + '"}'
    assert len(text) < MAX_TEXT

    (outcome,) = arrive(subject, text, now=NOW)

    assert outcome.code == "unknown_kind"
    assert subject.connection.execute("SELECT length(body) FROM rollbook.dead_letters").fetchone() == (len(text),)
