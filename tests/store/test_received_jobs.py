"""A message as it came: its text, and the code and reason of one that cannot be applied, by whatever application."""

from __future__ import annotations

import json

import pytest
from tests.support.builders import NOW, identify
from tests.support.stores import OnPostgres

from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import ReceivedJob
from rollbook_worker.store.inbox import MAX_REASON

TEXT = encode(identify("ann", at=1, job="j"))


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("too_slow", "too_slow"),
        ("kills_worker", "kills_worker"),
        ("", "malformed"),
        ("TOO_SLOW", "malformed"),
        ("x\n2026-01-01 CRITICAL forged", "malformed"),
        ("\x1b[2J", "malformed"),
        ("x" * 1_000_000, "malformed"),
    ],
    ids=lambda value: value[:10].encode("unicode_escape").decode(),
)
def test_a_code_is_one_of_the_known_ones(code: str, kept: str) -> None:
    received = ReceivedJob.failed(TEXT, code, "no reason")

    assert isinstance(received.job, Undecodable)
    assert received.job.code == kept
    assert isinstance(received.job.code, DeadLetterCode)
    assert (received.job_id, received.kind) == ("j", "identify")


def test_a_reason_is_one_short_line(on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    reason = "a\n\x1b[2J\0\ud800" + "x" * 10_000

    on_postgres.store.apply([ReceivedJob.failed(TEXT, "failed", reason)], now=NOW)

    row = on_postgres.connection.execute("SELECT reason FROM rollbook.dead_letters").fetchone()
    assert row is not None
    assert row[0].startswith("a\\n\\x1b[2J\\0\\ud800xxx")
    assert len(row[0]) < MAX_REASON + 20


@pytest.mark.parametrize("message", [{"user_id": "zoë"}, ["a", 7, None], 7, None, True])
def test_a_message_that_is_no_text_is_kept_as_its_json(message: object) -> None:
    assert json.loads(ReceivedJob.of(message).text) == message
    assert "\\u" not in ReceivedJob.of(message).text


def test_a_message_that_is_no_json_is_kept_as_python_shows_it() -> None:
    assert ReceivedJob.of(b"\xff").text == "b'\\xff'"
