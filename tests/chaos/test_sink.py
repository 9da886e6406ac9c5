"""What senders of a chaos run hand over to: it takes messages, fails, hangs, and calls when it has taken one."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from benchmarks.chaos.sink import Sink, SinkState
from tests.support.waits import DEADLINE_SECONDS


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


def post(sink: Sink, sender: str = "sender-1", *, id: str = "one", timeout: float = DEADLINE_SECONDS) -> int:
    url, body = f"{sink.url}/{sender}", json.dumps({"id": id, "claim": 3, "data": {}}).encode()
    try:
        with urllib.request.urlopen(url, data=body, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_what_it_takes_it_records(sink: Sink) -> None:
    assert post(sink) == 204

    assert [(each.id, each.claim) for each in sink.taken] == [("one", 3)]


def test_what_it_fails_it_does_not_take(sink: Sink) -> None:
    sink.become(SinkState.FAILS)
    assert post(sink) == 500

    sink.become(SinkState.TAKES)
    assert post(sink, id="two") == 204
    assert [each.id for each in sink.taken] == ["two"]


def test_while_it_hangs_it_answers_and_takes_nothing(sink: Sink) -> None:
    sink.become(SinkState.HANGS)
    answered: list[int] = []
    thread = threading.Thread(target=lambda: answered.append(post(sink)))
    thread.start()
    with pytest.raises(TimeoutError):
        post(sink, timeout=0.05)
    assert answered == []

    sink.become(SinkState.TAKES)
    thread.join(DEADLINE_SECONDS)

    assert answered == [500]
    assert sink.taken == []


def test_it_calls_once_when_it_has_taken_a_message_of_the_sender(sink: Sink) -> None:
    calls: list[int] = []
    sink.call_when_taken("sender-2", lambda: calls.append(len(sink.taken)))

    for sender in ("sender-1", "sender-2", "sender-2"):
        post(sink, sender)

    assert calls == [2]


def test_a_call_that_is_cancelled_does_not_happen(sink: Sink) -> None:
    calls: list[int] = []
    sink.call_when_taken("sender-1", lambda: calls.append(1))
    sink.cancel_call("sender-1")

    post(sink)

    assert calls == []
