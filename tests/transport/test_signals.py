"""Signals are handled between two turns of the loop, never within one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import WorkerTerminate
from celery.worker import state
from kombu.asynchronous import Hub

from rollbook_worker.celery_ext.signals import SIGNALS, handled_between_turns


class Loop:
    """A loop that sleeps for seconds when there is nothing to do, and Celery's handlers, which note what they hear."""

    def __init__(self) -> None:
        self.hub = _hub()
        self.hub.call_later(60.0, lambda: None)
        self.heard: list[int] = []
        self.woken = False
        """Whether the last sleep was ended by something, and not by its time."""
        self._sleep = self.hub.poller.poll
        self.hub.poller.poll = self._poll
        self._turns: Iterator[Any] = self.hub.create_loop()

    def turn(self) -> None:
        next(self._turns)

    def hear(self, number: int, frame: Any) -> None:
        self.heard.append(number)

    def _poll(self, timeout: float) -> Any:
        events = self._sleep(timeout)
        self.woken = bool(events)
        return events


def _hub() -> Any:
    return Hub()  # type: ignore[no-untyped-call]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    monkeypatch.setattr(state, "should_terminate", None)
    monkeypatch.setattr(state, "should_stop", None)
    loop = Loop()
    before = {number: signal.signal(number, loop.hear) for number in SIGNALS}
    yield loop
    for number, handler in before.items():
        signal.signal(number, handler)
    loop.hub.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_of_the_turn_it_interrupts(loop: Loop, number: signal.Signals) -> None:
    heard_within: list[list[int]] = []

    def work() -> None:
        signal.raise_signal(number)
        heard_within.append(list(loop.heard))

    with handled_between_turns(loop.hub):
        loop.hub.call_soon(work)
        loop.turn()

        assert heard_within == [[]]
        assert loop.heard == [number]


def test_a_signal_ends_the_sleep_of_the_loop(loop: Loop) -> None:
    with handled_between_turns(loop.hub):
        loop.hub.on_tick.add(lambda: signal.raise_signal(signal.SIGTERM))  # as if it came while it sleeps
        loop.turn()

    assert loop.woken


def test_the_loop_ends_after_its_handler(loop: Loop) -> None:
    signal.signal(signal.SIGQUIT, lambda number, frame: setattr(state, "should_terminate", 1))

    with handled_between_turns(loop.hub):
        signal.raise_signal(signal.SIGQUIT)
        with pytest.raises(WorkerTerminate):
            loop.turn()


def test_a_repeated_signal_is_handled_at_once(loop: Loop) -> None:
    with handled_between_turns(loop.hub):
        signal.raise_signal(signal.SIGQUIT)
        signal.raise_signal(signal.SIGTERM)
        assert loop.heard == []

        signal.raise_signal(signal.SIGQUIT)
        assert loop.heard == [signal.SIGQUIT]

        loop.turn()
        assert loop.heard == [signal.SIGQUIT, signal.SIGQUIT, signal.SIGTERM]


def test_a_pending_signal_is_handled_when_the_loop_ends(loop: Loop) -> None:
    def loses_its_connection() -> None:
        with handled_between_turns(loop.hub):
            signal.raise_signal(signal.SIGTERM)
            loop.hub.reset()  # as Celery does
            raise ConnectionError

    with pytest.raises(ConnectionError):
        loses_its_connection()
    assert loop.heard == [signal.SIGTERM]


def test_the_handlers_of_celery_are_restored(loop: Loop) -> None:
    def another(number: int, frame: Any) -> None: ...

    with handled_between_turns(loop.hub):
        signal.signal(signal.SIGINT, another)  # Celery does, from its handlers

    assert {number: signal.getsignal(number) for number in SIGNALS} == {
        signal.SIGTERM: loop.hear,
        signal.SIGINT: another,
        signal.SIGQUIT: loop.hear,
    }
    assert not loop.hub.on_tick
    assert not loop.hub.readers


def test_a_forked_process_handles_signals_at_once(loop: Loop) -> None:
    with handled_between_turns(loop.hub):
        if (child := os.fork()) == 0:
            signal.raise_signal(signal.SIGQUIT)
            os._exit(0 if loop.heard == [signal.SIGQUIT] else 1)

        assert os.waitpid(child, 0)[1] == 0
    assert loop.heard == []
