"""The remote commands that workers obey: those that only show something.

Every client of Redis that may publish may send remote commands. With Celery's own it could make workers take the
messages of a queue that is not ours (`add_consumer`), take none any more (`cancel_consumer`, `shutdown`), or drop a job
without a trace (`revoke`, and `hello`, which also revokes).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from celery.app.control import Control
from celery.worker.control import nok

from rollbook_shared.json_values import printable
from rollbook_worker.celery_ext import privates

logger = logging.getLogger(__name__)

ALLOWED: Final = frozenset(
    {
        "ping",  # `celery status`, and whether a worker has started
        "active_queues",  # the doctor
        # Flower
        "stats",
        "registered",
        "scheduled",
        "active",
        "reserved",
        "revoked",
        "conf",
        "enable_events",  # asked again every few seconds; events are on
        "heartbeat",
        "query_task",  # `celery inspect`
    }
)
"""Commands of Celery. What is not in here is rejected, and so is what a later version adds."""
_MAX_NAME: Final = 100
"""Characters of a rejected name that are quoted."""

Handler = Callable[..., object]


class AllowedCommands(dict[str, Handler]):
    """Celery's commands that are in `ALLOWED`. In the place of each other one it has a rejection."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        super().__init__({name: handler for name, handler in handlers.items() if name in ALLOWED})

    def __missing__(self, name: str) -> Handler:
        return partial(_reject, name)


class InspectionMailbox(privates.Mailbox):  # type: ignore[misc]  # kombu ships no types
    """kombu's mailbox of a worker, with `AllowedCommands`."""

    def Node(  # noqa: N802  # kombu's name
        self, hostname: Any = None, state: Any = None, channel: Any = None, handlers: Any = None
    ) -> Any:
        """See kombu."""
        return super().Node(hostname, state, channel, AllowedCommands(handlers or {}))

    def _publish_reply(self, *args: Any, **options: Any) -> None:
        """See kombu, which retries until the broker is back. Until then the worker's loop would not turn, and a signal
        to stop would have no effect. The sender of the command asks again.
        """
        super()._publish_reply(*args, **options, retry_policy={"max_retries": 0})


class InspectionControl(Control):  # type: ignore[misc]  # Celery ships no types
    """Celery's control with this mailbox. What is sent stays as it is."""

    Mailbox = InspectionMailbox


CONTROL: Final = f"{__name__}:InspectionControl"


def _reject(name: str, state: object, /, **arguments: object) -> Any:
    """Answer a command that workers do not obey."""
    logger.warning("rejected the remote command %s", printable(str(name)[:_MAX_NAME]))
    return nok("Rollbook's workers do not obey this command")
