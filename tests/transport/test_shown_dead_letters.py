"""A dead letter's message is shown as what failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rollbook_shared.jobs.codec import text_digest
from rollbook_worker.celery_ext.dead_letters import dead_letter_message, shown_headers
from rollbook_worker.store import ReceivedJob
from rollbook_worker.store.inbox import dead_outcome


def body(text: object, *code: object) -> str:
    return json.dumps([[text, "a reason", *code], {}, {}])


def failed(**headers: Any) -> str:
    return json.dumps({"body": "...", "headers": headers, "properties": {}})


def test_a_job_that_was_given_up_is_shown_under_its_id_with_its_kind_and_summary() -> None:
    message = failed(id="job-1", task="rollbook.identify", argsrepr="(user:1 {plan})", retries=3)

    assert shown_headers(body(message, "kills_worker")) == {
        "id": "job-1",
        "shadow": "rollbook.identify",
        "argsrepr": "(user:1 {plan})",
    }


def test_the_name_of_a_foreign_task_is_not_shown() -> None:
    message = failed(id="job-1", task="mail ann@example.com", argsrepr="('x',)")

    assert shown_headers(body(message, "kills_worker"))["shadow"] == "rollbook.dead_letter"


@pytest.mark.parametrize("code", [(), ("malformed",)])
def test_what_is_not_a_job_is_shown_under_the_id_of_its_dead_letter(code: tuple[str, ...]) -> None:
    stored = dead_outcome(ReceivedJob.of_no_job("junk", "a reason"), "malformed").job_id

    assert shown_headers(body("junk", *code)) == {"id": stored}


def test_a_message_for_an_unknown_task_is_shown_under_the_id_of_its_dead_letter() -> None:
    message = dead_letter_message(SimpleMessage(b"junk"), "a reason")

    assert message.headers["id"] == f"unidentified-{text_digest('junk').hex()}"


class SimpleMessage:
    delivery_tag = "1"
    channel = None
    content_encoding = "utf-8"

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.delivery_info: dict[str, Any] = {}


@pytest.mark.parametrize(
    "junk",
    [
        None,
        b"",
        b"\xff",
        "7",
        "[]",
        "[[7], {}, {}]",
        body(7),
        body("{}", "failed"),
        body("[" * 99_999, "failed"),
        body(failed(id=1, task=7), "x"),
    ],
)
def test_junk_for_the_task_of_dead_letters_is_shown_as_it_comes(junk: object) -> None:
    assert shown_headers(junk) == {}
