"""What becomes of a message whose task failed. Celery would acknowledge it, and the job would be gone.

| how it failed | what becomes of the message |
| --- | --- |
| `DeadLetter`: the job is kept as one | it is acknowledged |
| `Retry`: the job was sent again for later | it is acknowledged, as Celery does |
| `Reject`: Postgres is away, and Redis is full or away too | it is put off, here, until others may try |
| its process died, or was ended for its time | others try; the transport counts how often |
| anything else: a mistake in the code | the transport makes a dead letter of it, `unexpected_error` |

Putting off is not counted: after a few tries an outage would have made a dead letter of a job that harms nobody.
"""

from __future__ import annotations

from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject

from rollbook_worker.celery_ext import request

REQUEST: Final = f"{__name__}:Request"


class Request(request.Request):
    """A job in hand. Needs `task_acks_on_failure=False`."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """See Celery. The stock transport counts nothing, has no word for putting off, and drops what is rejected."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, request.DeadLetter):
            self.acknowledge()
        put_off = getattr(self.message.channel, "put_off", None)
        if put_off and isinstance(error, Reject) and error.requeue:
            self.on_reject = lambda *_: put_off(self.message.delivery_tag)
        super().on_failure(exc_info, *args, **kwargs)
