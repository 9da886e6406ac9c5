"""The worker's side of one job: what monitoring shows of it, and what becomes of its message when its task fails.

Celery would acknowledge the message of a failed task, and the job would be lost.

| how the task failed | what becomes of the message |
| --- | --- |
| `DeadLettered`: the job is stored as a dead letter | it is acknowledged |
| `Retry`: the job was sent again, for later | it is acknowledged, as Celery does |
| `Reject`: Postgres is away, and Redis is full or away too | it is snoozed, by this worker, until others may try |
| its process died, or was killed at its time limit | others try; the transport counts how often |
| anything else: a bug | the transport makes a dead letter of it, `unexpected_error` |

A snooze is not counted: otherwise an outage would make, after a few tries, a dead letter of a job that is harmless.
"""

from __future__ import annotations

from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject
from celery.worker.request import Request

REQUEST: Final = f"{__name__}:RollbookRequest"


class DeadLettered(Exception):
    """Ends the task of a job that became a dead letter: as a failure, so that Flower shows it in red and counts it.

    Contains the dead letter's code and nothing of the job.
    """


class RollbookRequest(Request):  # type: ignore[misc]  # Celery ships no types
    """Celery's request with both. Needs `task_acks_on_failure=False`."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """See Celery (`celery inspect active`, Flower's page of a worker), which shows all arguments unless it is asked
        not to. This shows the summary that came with the job, never the job.
        """
        shown: dict[str, Any] = super().info(safe=True)
        return shown

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """See Celery. With the stock transport nothing is counted or snoozed, and what is rejected is dropped."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, DeadLettered):
            self.acknowledge()
        snooze = getattr(self.message.channel, "snooze", None)
        if snooze and isinstance(error, Reject) and error.requeue:
            self.on_reject = lambda *_: snooze(self.message.delivery_tag)
        super().on_failure(exc_info, *args, **kwargs)
