"""Our dispatcher of events sends what Celery's sends, and loses none."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import Celery
from celery.events.dispatcher import EventDispatcher
from tests.support.event_listener import EventListener
from tests.support.waits import wait_until

from rollbook_worker.celery_ext.event_dispatcher import PROBE_EVENTS, TaskEventDispatcher

OWN_FIELDS = {"clock", "timestamp", "local_received"}
"""Differ from event to event."""


def dispatcher_of(kind: type[Any], broker_url: str, **options: Any) -> Any:
    app = Celery(broker=broker_url, set_as_current=False)
    return kind(app.connection_for_write(), hostname="w@h", app=app, buffer_group=["task"], **options)


def heard_of(events: EventListener, task_id: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in event.items() if name not in OWN_FIELDS}
        for event in list(events.events)
        if event.get("uuid") == task_id
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"args": "(ann)", "kwargs": "{}", "retries": 0, "eta": None, "runtime": 0.25},
        {"args": "ünï \U0001f600", "result": "'applied'", "exception": None},
        {"args": "half a character: \ud83d", "parent_id": None},
    ],
    ids=["plain", "unicode", "a surrogate"],
)
def test_what_is_sent_is_what_celery_sends(broker_url: str, fields: dict[str, Any]) -> None:
    with EventListener(broker_url) as events:
        heard = []
        for kind in (EventDispatcher, TaskEventDispatcher):
            with dispatcher_of(kind, broker_url) as dispatcher:
                dispatcher.send("task-received", uuid=kind.__name__, **fields)
                dispatcher.send("task-started", uuid=kind.__name__)
                dispatcher.send("worker-heartbeat", freq=2.0)
                dispatcher.flush()
            wait_until(lambda: len(heard_of(events, kind.__name__)) == 2, what="hearing both")  # noqa: B023
            heard.append([event | {"uuid": "same"} for event in heard_of(events, kind.__name__)])
        wait_until(lambda: [event["type"] for event in events.events].count("worker-heartbeat") == 2)

    assert heard[0] == heard[1]
    assert [event["type"] for event in heard[1]] == ["task-received", "task-started"]


def test_no_event_of_any_thread_is_lost_or_sent_twice(broker_url: str) -> None:
    expected = {f"{thread}-{number}" for thread in range(4) for number in range(500)}
    with EventListener(broker_url) as events, dispatcher_of(TaskEventDispatcher, broker_url) as dispatcher:
        dispatcher.buffer_limit = 50

        def send(thread: int) -> None:
            for number in range(500):
                dispatcher.send("task-started", uuid=f"{thread}-{number}")

        threads = [threading.Thread(target=send, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            dispatcher.flush()
        dispatcher.flush()
        wait_until(lambda: len(events.types) >= len(expected), what="hearing all")

    assert set(events.types) == expected
    assert len(events.events) == len(expected)


def test_events_of_an_outage_are_sent_after_it(broker_url: str) -> None:
    with EventListener(broker_url) as events, dispatcher_of(TaskEventDispatcher, broker_url) as dispatcher:
        publish = dispatcher._publish_encoded

        def fail(channel: object, body: bytes) -> None:
            raise ConnectionError

        dispatcher._publish_encoded = fail
        dispatcher.send_all("task-started", [{"uuid": "one"}, {"uuid": "two"}])
        dispatcher.flush()
        dispatcher._publish_encoded = publish
        dispatcher.send("task-started", uuid="three")
        dispatcher.flush()
        wait_until(lambda: len(events.types) == 3, what="hearing all")

    assert list(events.types) == ["one", "two", "three"]


def test_a_dispatcher_that_is_off_sends_nothing(broker_url: str) -> None:
    with EventListener(broker_url) as events:
        with dispatcher_of(TaskEventDispatcher, broker_url, enabled=False) as dispatcher:
            dispatcher.send_all("task-started", [{"uuid": "off"}])
        with dispatcher_of(TaskEventDispatcher, broker_url, groups=["worker"]) as dispatcher:
            dispatcher.send("task-started", uuid="other group")
            dispatcher.flush()
        with dispatcher_of(TaskEventDispatcher, broker_url) as dispatcher:
            dispatcher.send("task-started", uuid="on")
            dispatcher.flush()
        wait_until(lambda: events.types, what="hearing one")

    assert list(events.types) == ["on"]


def dispatcher_in_loop(broker_url: str) -> Any:
    """As a worker has it: something flushes it in a while. Here the test does."""
    dispatcher = dispatcher_of(TaskEventDispatcher, broker_url, on_send_buffered=lambda: None)
    dispatcher.buffer_limit = 500
    return dispatcher


def started(dispatcher: Any, name: str, number: int) -> None:
    dispatcher.send_all("task-started", ({"uuid": f"{name}-{index}"} for index in range(number)))


def test_events_that_no_monitor_receives_are_not_made(broker_url: str) -> None:
    with dispatcher_in_loop(broker_url) as dispatcher:
        started(dispatcher, "unheard", 1)
        dispatcher.flush()
        started(dispatcher, "unheard", PROBE_EVENTS - 1)
        assert not dispatcher.skips_tasks

        started(dispatcher, "unheard", 1)

        assert dispatcher.skips_tasks
        dispatcher.send_all("task-started", (pytest.fail("made an event") for _ in range(1)))
        dispatcher.flush()
        assert not dispatcher.skips_tasks


def test_a_monitor_that_begins_while_no_jobs_run_misses_no_event(broker_url: str) -> None:
    with dispatcher_in_loop(broker_url) as dispatcher:
        started(dispatcher, "unheard", 1)
        dispatcher.flush()
        with EventListener(broker_url) as events:
            for number in range(300):
                started(dispatcher, f"heard-{number}", 1)
            dispatcher.flush()
            wait_until(lambda: len(events.types) == 300, what="hearing all")


def test_a_monitor_that_begins_while_many_jobs_run_misses_the_rest_of_a_group(broker_url: str) -> None:
    with dispatcher_in_loop(broker_url) as dispatcher:
        started(dispatcher, "unheard", 1)
        dispatcher.flush()
        started(dispatcher, "unheard", PROBE_EVENTS)
        with EventListener(broker_url) as events:
            started(dispatcher, "skipped", 1)
            dispatcher.flush()
            started(dispatcher, "heard", 2 * PROBE_EVENTS)
            started(dispatcher, "too", 1)
            dispatcher.flush()
            wait_until(lambda: len(events.types) > 2 * PROBE_EVENTS, what="hearing all")

    assert {name.split("-")[0] for name in events.types} == {"heard", "too"}


def test_events_are_left_out_again_when_the_last_monitor_ends(broker_url: str) -> None:
    with dispatcher_in_loop(broker_url) as dispatcher:
        with EventListener(broker_url) as events:
            started(dispatcher, "heard", 2 * PROBE_EVENTS)
            assert not dispatcher.skips_tasks
            dispatcher.flush()
            wait_until(lambda: len(events.types) == 2 * PROBE_EVENTS, what="hearing all")
        started(dispatcher, "unheard", 1)
        dispatcher.flush()

        started(dispatcher, "unheard", PROBE_EVENTS)

        assert dispatcher.skips_tasks


def test_events_that_nothing_flushes_are_never_left_out(broker_url: str) -> None:
    with dispatcher_of(TaskEventDispatcher, broker_url) as dispatcher:
        started(dispatcher, "unheard", 1)
        dispatcher.flush()

        started(dispatcher, "unheard", 2 * PROBE_EVENTS)

        assert not dispatcher.skips_tasks
