"""A worker reports in Redis that it takes jobs: a boot step, which Celery runs while the worker is connected.

The loop's timer asks for each report, so that a worker whose loop stands still is soon gone. A thread sends it: the
loop must not wait for Redis.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any, Final

import redis.exceptions
from celery import bootsteps

from rollbook_shared.broker_url import BrokerEndpoint
from rollbook_shared.observability.inspection import REPORT_SECONDS, report_worker
from rollbook_shared.reasons import safe_reason

logger = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 5.0
_FAILURES: Final = (redis.exceptions.RedisError, OSError)


class Reporter:
    """Sends the reports of one worker from a thread of its own, one after the other."""

    def __init__(self, endpoints: Sequence[BrokerEndpoint]) -> None:
        self._endpoints = endpoints
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._worker: tuple[str, tuple[str, ...]] = ("", ())
        self._failing = False

    def report(self, name: str, queues: Sequence[str]) -> None:
        """Have a report sent soon: this worker takes jobs from these queues."""
        self._worker = name, tuple(queues)
        self._asked.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rollbook-report", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread. Idempotent."""
        self._stopped.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(_ANSWER_SECONDS)
            self._thread = None

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._stopped.is_set():
                return
            self._send(*self._worker)

    def _send(self, name: str, queues: tuple[str, ...]) -> None:
        for endpoint in self._endpoints:
            try:
                with endpoint.client(connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER_SECONDS) as client:
                    report_worker(client, name, queues)
            except _FAILURES as error:
                if not self._failing:  # at INFO: jobs do not need the report, and what takes them says the rest
                    logger.info("this worker cannot report that it takes jobs: %s", safe_reason(error))
                self._failing = True
            else:
                self._failing = False
                return


class WorkerReports(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Has a report sent when the consumer begins to take jobs, and every few seconds from then on."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._reporter = Reporter(consumer.app.broker_endpoints)
        super().__init__(consumer, **options)

    def include_if(self, consumer: Any) -> bool:
        return bool(consumer.app.broker_endpoints)

    def start(self, consumer: Any) -> None:
        def report() -> None:
            self._reporter.report(consumer.hostname, [queue.name for queue in consumer.task_consumer.queues])

        report()
        # Celery cancels a timer that is added while it connects when that connection ends
        consumer.timer.call_repeatedly(REPORT_SECONDS, report)

    def shutdown(self, consumer: Any) -> None:
        self._reporter.stop()


def add_reports(app: Any, endpoints: Sequence[BrokerEndpoint]) -> None:
    """Let the workers of this application report in these servers."""
    app.broker_endpoints = tuple(endpoints)
    app.steps["consumer"].add(WorkerReports)
