"""A job that cannot be applied now, and cannot be sent again for later either: Postgres is away and Redis is full, or
away too.

Celery refuses its message for others to try, which the transport counts, for that is also said of a message whose
process died. After a few such tries an outage would have made a dead letter of a job that harms nobody.
"""

from __future__ import annotations

from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Reject

from rollcall_worker import showing

REQUEST: Final = f"{__name__}:Request"


class Request(showing.Request):
    """A job in hand, which waits there until others may try."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """See Celery. The stock transport counts nothing, and has no word for this."""
        put_off = getattr(self.message.channel, "put_off", None)
        if put_off and _is_for_others(exc_info.exception):
            self.on_reject = lambda *_: put_off(self.message.delivery_tag)
        super().on_failure(exc_info, *args, **kwargs)


def _is_for_others(error: BaseException) -> bool:
    error = error.exc if isinstance(error, ExceptionWithTraceback) else error
    return isinstance(error, Reject) and bool(error.requeue)
