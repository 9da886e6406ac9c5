"""The request of a job that waits for its batch: Celery's, most of which is made only when something asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from celery.utils.log import get_logger
from celery.worker import state

from rollbook_worker.celery_ext.request import RollbookRequest
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage

logger = get_logger(__name__)


class BatchedRequest(RollbookRequest):
    """What a batch needs of a request, and all else of it on demand: for `celery inspect`, or to run individually.

    A Celery request costs more than applying its job in a batch.

    headers: of the message.
    message: kombu's, with the calls that acknowledge and reject it.
    delivered: instead, what the message is made of on demand; then `call_soon` acknowledges and rejects it.
    options: of Celery's request, the same for all jobs of a task.
    """

    acknowledged: bool
    _options: Mapping[str, Any] | None = None

    def __init__(
        self,
        headers: Any,
        payload: Any,
        *,
        message: Any = None,
        on_ack: Any = None,
        on_reject: Any = None,
        delivered: DeliveredMessage | None = None,
        call_soon: Callable[..., object] | None = None,
        task: Any,
        eventer: Any,
        options: Mapping[str, Any],
    ) -> None:
        self._message = message
        if message is not None:
            self._on_ack = on_ack
            self._on_reject = on_reject
        self._delivered = delivered
        self._call_soon = call_soon
        self._body = payload
        self._headers = headers
        self._options = options
        self._eventer = eventer
        self._task = task
        self._type = headers["task"]
        self._argsrepr = headers.get("argsrepr", "")
        self.id = headers["id"]
        self.name = headers.get("shadow") or headers["task"]
        self.is_shown = False
        """Whether `celery inspect` shows the job."""
        if limit := headers.get("timelimit"):
            self.time_limits = limit  # the class has a default, so nothing would ask for the rest

    def __getattr__(self, name: str) -> Any:
        """Make the rest. Python calls this for an attribute that is not set."""
        options, self._options = self._options, None
        if options is None:
            raise AttributeError(name)
        message = self.message
        if self._call_soon is not None:
            self._on_ack = partial(self._call_soon, message.ack_log_error)
            self._on_reject = partial(self._call_soon, message.reject_log_error)
        super().__init__(
            message,
            on_ack=self._on_ack,
            on_reject=self._on_reject,
            task=self._task,
            eventer=self._eventer,
            body=self._body,
            headers=self._headers,
            decoded=True,
            utc=True,
            **options,
        )
        return getattr(self, name)

    @property
    def message(self) -> Any:
        """See Celery."""
        if self._message is None and self._delivered is not None:
            self._message = self._delivered.message()
        return self._message

    def settle(self, connection_errors: Any) -> None:
        """Acknowledge the message now."""
        if self.acknowledged:
            return
        self.acknowledged = True
        if self._message is None and self._delivered is not None:
            self._delivered.channel.basic_ack(self._delivered.tag)
        else:
            self._message.ack_log_error(logger, connection_errors)

    def is_revoked(self) -> bool:
        """As Celery's `revoked`, without making the rest where nothing is revoked and the job never expires."""
        if not (state.revoked or state.revoked_stamps or self._headers.get("expires")):
            return bool(self._already_revoked)
        return bool(self.revoked())

    def reserve(self) -> None:
        """Show that the job waits for a batch. This is Celery's `task_reserved` for a request that never waited for its
        time.
        """
        self.is_shown = True
        state.requests[self.id] = self
        state.reserved_requests.add(self)

    def begin(self, pid: int, started: float) -> None:
        """Show that the job's batch runs in this process since `started`, in seconds since 1970. This is Celery's
        `on_accepted` without its event: those of all jobs of a batch are sent together.
        """
        self.worker_pid = pid
        self.time_start = started
        self.reserve()
        state.active_requests.add(self)
        if self._terminate_on_ack is not None:
            self.terminate(*self._terminate_on_ack)

    def end(self) -> None:
        """The job is finished. This is Celery's `task_ready` for such a request."""
        if self.is_shown:
            state.requests.pop(self.id, None)
            state.active_requests.discard(self)
            state.reserved_requests.discard(self)
