"""The request of a job that waits for its batch: Celery's, most of which is made only when something asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery.worker import state

from rollbook_worker.celery_ext.request import RollbookRequest


class BatchedRequest(RollbookRequest):
    """What a batch needs of a request, and all else of it on demand: for `celery inspect`, or to run individually.

    A Celery request costs more than applying its job in a batch.

    headers: of the message.
    options: of Celery's request, the same for all jobs of a task.
    """

    _options: Mapping[str, Any] | None = None

    def __init__(
        self,
        message: Any,
        payload: Any,
        *,
        on_ack: Any,
        on_reject: Any,
        task: Any,
        eventer: Any,
        options: Mapping[str, Any],
    ) -> None:
        headers = message.headers
        self._message = message
        self._body = payload
        self._on_ack = on_ack
        self._on_reject = on_reject
        self._task = task
        self._eventer = eventer
        self._type = headers["task"]
        self._argsrepr = headers.get("argsrepr", "")
        self.id = headers["id"]
        self.name = headers.get("shadow") or headers["task"]
        self._options = options
        if limit := headers.get("timelimit"):
            self.time_limits = limit  # the class has a default, so nothing would ask for the rest

    def __getattr__(self, name: str) -> Any:
        """Make the rest. Python calls this for an attribute that is not set."""
        options, self._options = self._options, None
        if options is None:
            raise AttributeError(name)
        super().__init__(
            self._message,
            on_ack=self._on_ack,
            on_reject=self._on_reject,
            task=self._task,
            eventer=self._eventer,
            body=self._body,
            headers=self._message.headers,
            decoded=True,
            utc=True,
            **options,
        )
        return getattr(self, name)

    def is_revoked(self) -> bool:
        """As Celery's `revoked`, without making the rest where nothing is revoked and the job never expires."""
        if not (state.revoked or state.revoked_stamps or self._message.headers.get("expires")):
            return bool(self._already_revoked)
        return bool(self.revoked())

    def reserve(self) -> None:
        """The job waits for a batch. This is Celery's `task_reserved` for a request that never waited for its time."""
        state.requests[self.id] = self
        state.reserved_requests.add(self)

    def begin(self, pid: int, started: float) -> None:
        """The job's batch begins in this process, at `started`, in seconds since 1970. This is Celery's `on_accepted`
        without its event: those of all jobs of a batch are sent together.
        """
        self.worker_pid = pid
        self.time_start = started
        state.active_requests.add(self)
        state.total_count[self.name] += 1
        state.all_total_count[0] += 1
        if self._terminate_on_ack is not None:
            self.terminate(*self._terminate_on_ack)

    def end(self) -> None:
        """The job is finished. This is Celery's `task_ready` for such a request."""
        state.requests.pop(self.id, None)
        state.active_requests.discard(self)
        state.reserved_requests.discard(self)
