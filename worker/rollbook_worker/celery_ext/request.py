"""The worker's side of one job: what monitoring shows of it, and what becomes of its message when its task fails.

Celery would acknowledge the message of a failed task, and the job would be lost.

| how the task failed | what becomes of the message | Flower |
| --- | --- | --- |
| `JobFailed`: the job is a dead letter, or was rejected | it is acknowledged | FAILURE |
| `Retry`: the job was sent again, for later | it is acknowledged, as Celery does | RETRY |
| `Reject`: Postgres is away, and Redis is full or away too | this worker snoozes it until others may try | RETRY |
| its process died, or was killed at its time limit | others try; the transport counts how often | RETRY |
| anything else: a bug | the transport makes a dead letter of it, `unexpected_error` | FAILURE |

A snooze is not counted: otherwise an outage would make, after a few tries, a dead letter of a job that is harmless.
"""

from __future__ import annotations

import time
from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import TimeLimitExceeded
from celery.exceptions import Reject
from celery.worker.request import Request

from rollbook_worker.celery_ext.job_failures import JobFailed
from rollbook_worker.celery_ext.task_events import ShownTask, end_events

REQUEST: Final = f"{__name__}:RollbookRequest"


class RollbookRequest(Request):  # type: ignore[misc]  # Celery ships no types
    """Celery's request with both. Needs `task_acks_on_failure=False`."""

    _error: BaseException | None = None
    """Why the task failed."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """See Celery (`celery inspect active`, Flower's page of a worker), which shows all arguments unless it is asked
        not to. This shows the summary that came with the job, never the job.
        """
        shown: dict[str, Any] = super().info(safe=True)
        return shown

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """See Celery. With the stock transport nothing is counted or snoozed, and what is rejected is dropped."""
        error = exc_info.exception
        self._error = error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, JobFailed):
            self.acknowledge()
        snooze = getattr(self.message.channel, "snooze", None)
        if snooze and isinstance(error, Reject) and error.requeue:
            self.on_reject = lambda *_: snooze(self.message.delivery_tag)
        super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """See Celery."""
        self._error = None if soft else TimeLimitExceeded(timeout)
        super().on_timeout(soft, timeout)

    def send_event(self, type: str, **fields: Any) -> None:
        """See Celery, which does not know that a job is tried again after its process died, nor how our jobs end."""
        error = self._error
        match type:
            case "task-succeeded":
                self.send_end(str(fields["result"]).strip("'"), fields["runtime"])
            case "task-failed" if isinstance(error, JobFailed):
                self.send_end(error, time.time() - (self.time_start or time.time()))
            case "task-failed" if isinstance(error, TimeLimitExceeded):
                pass  # not failed: `task-rejected` follows
            case "task-failed" if error is not None:
                # without its text, which may quote the job; the log has the traceback
                super().send_event(type, exception=f"{error.__class__.__name__}()", traceback=None)
            case "task-rejected" if fields["requeue"]:
                reason = error.reason if isinstance(error, Reject) else error
                super().send_event("task-retried", exception=repr(reason), traceback=None)
            case _:
                super().send_event(type, **fields)

    def send_end(self, end: str | JobFailed, runtime: float) -> None:
        """Send the events that say how the job ended."""
        if self._eventer and self._eventer.enabled and self.task.send_events:
            task = ShownTask(self.id, self.name, self.argsrepr)
            started = self.time_start or time.time()
            for event in end_events(task, end, started=started, runtime=runtime):
                self._eventer.send(event.type, uuid=event.task_id, **event.fields)
