"""A listener to the events of real workers."""

from __future__ import annotations

import threading
from typing import Any, Final, Self

from celery import Celery
from celery.events import EventReceiver
from celery.events.state import State
from tests.support.waits import DEADLINE_SECONDS, wait_until

_PROBE: Final = "probe"


class EventListener:
    """What Flower knows: Celery's own receiver of events and its state of tasks."""

    def __init__(self, broker_url: str) -> None:
        self.state: Any = State()
        self.types: dict[str, list[str]] = {}
        self.events: list[dict[str, Any]] = []
        self._app = Celery(broker=broker_url, set_as_current=False)
        self._listening = threading.Event()
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def tasks(self, name: str) -> dict[str, Any]:
        return {id_: task for id_, task in self.state.tasks.items() if id_.startswith(f"{name}-")}

    def task(self, id_: str) -> Any:
        """What Flower shows of a task; None as long as it shows nothing.

        `state.tasks[id_]` takes the task out and puts it back, and an event of it that comes in between is lost.
        """
        return self.state.tasks.data.get(id_)

    def wait_for_state(self, id_: str, state: str, *, exception: str | None = None) -> Any:
        """Wait until Flower shows a task in this state, and with this exception if one is given, and return it."""

        def is_shown() -> bool:
            task = self.task(id_)
            return task is not None and task.state == state and exception in (None, task.exception)

        try:
            wait_until(is_shown, what=f"{state} of {id_}")
        except AssertionError as error:
            error.add_note(f"heard: {self.types.get(id_)}; shown: {self.task(id_)!r}")
            raise
        return self.task(id_)

    def __enter__(self) -> Self:
        """Return when events are heard: only the first look at the broker subscribes to them."""
        self._thread.start()
        with self._app.connection() as connection, self._app.events.Dispatcher(connection, hostname=_PROBE) as probe:

            def is_heard() -> bool:
                probe.send(_PROBE)
                return self._listening.is_set()

            wait_until(is_heard, what="hearing events")
        return self

    def __exit__(self, *_: object) -> None:
        if self._receiver:
            self._receiver.should_stop = True
        self._thread.join(DEADLINE_SECONDS)

    def _listen(self) -> None:
        with self._app.connection() as connection:
            self._receiver = EventReceiver(connection, app=self._app, handlers={"*": self._hear})
            # without a timeout: after one, `consume` ends and so unsubscribes, and what comes before the next is lost
            for _ in self._receiver.consume(limit=None, timeout=None, safety_interval=0.2, wakeup=False):
                pass

    def _hear(self, event: dict[str, Any]) -> None:
        if event["hostname"] == _PROBE:
            self._listening.set()
            return
        self.events.append(event)
        if "uuid" in event:
            self.types.setdefault(event["uuid"], []).append(event["type"])
        self.state.event(event)
