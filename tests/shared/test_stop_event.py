"""The event that signals set: at whatever point of its use they come, and for every thread that waits."""

from __future__ import annotations

import threading
import time

import pytest
from tests.support.python_processes import run_python
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.observability.stop_event import StopEvent

SIGNAL_AT_EACH_LINE = """
import signal, sys, threading
from rollbook_shared.observability.stop_event import StopEvent

event = {event}()
signal.signal(signal.SIGUSR1, lambda *_: event.set())

def trace(frame, what, _):
    if frame.f_code.co_filename.endswith(("threading.py", "stop_event.py")) and frame.f_code.co_name != "set":
        if what == "line":
            signal.raise_signal(signal.SIGUSR1)
        return trace

sys.settrace(trace)
event.wait(0.01)
sys.settrace(None)
print(event.is_set())
"""


def test_a_signal_may_set_it_at_each_line_of_a_wait() -> None:
    assert run_python("-c", SIGNAL_AT_EACH_LINE.format(event="StopEvent")).stdout == "True\n"


def test_it_wakes_all_who_wait() -> None:
    event = StopEvent()
    woken: list[bool] = []
    waiting = [threading.Thread(target=lambda: woken.append(event.wait(DEADLINE_SECONDS))) for _ in range(5)]
    for thread in waiting:
        thread.start()

    event.set()
    event.set()

    for thread in waiting:
        thread.join(DEADLINE_SECONDS)
    assert woken == [True] * 5
    assert event.wait(0)
    assert event.is_set()


def test_a_wait_ends_in_time() -> None:
    event = StopEvent()
    started = time.monotonic()

    assert not event.wait(0.01)
    assert not event.wait(0)
    assert time.monotonic() - started >= 0.01
    assert not event.is_set()


def test_a_stop_is_final() -> None:
    with pytest.raises(NotImplementedError):
        StopEvent().clear()
