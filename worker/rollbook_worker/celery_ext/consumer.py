"""A worker's consumer: Celery's, except that messages that are not jobs become dead letters.

These are messages for unknown tasks, with content other than JSON, or with broken headers. Celery's consumer drops such
messages and writes their content into the log, and some of them stop the worker. This one gives each to the task
`rollbook.dead_letter`, which stores it and acknowledges it. Like any job it waits for a Postgres that is away. A task
of ours that is unknown here, of a newer version, is treated as a job: the store says what is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from celery.utils.log import get_logger
from celery.utils.time import maybe_iso8601
from kombu.exceptions import ContentDisallowed
from kombu.utils.uuid import uuid

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.jobs.celery_task import TASK_PREFIX, TASKS
from rollbook_shared.json_values import printable
from rollbook_worker.celery_ext.batching.strategy import BatchingStrategy
from rollbook_worker.celery_ext.batching.usual_message import ARGUMENTS, MAX_HEADER, usual_job
from rollbook_worker.celery_ext.dead_letters import (
    DEAD_LETTER_TASK,
    HIDDEN,
    DeadLetterMessage,
    dead_letter_message,
    shown_headers,
)
from rollbook_worker.celery_ext.signals import UninterruptedConsumer
from rollbook_worker.celery_ext.transport.plain_message import DeliveredMessage, PackedMessage
from rollbook_worker.store.retry import RETRY

CONSUMER: Final = f"{__name__}:RollbookConsumer"

_MAX_NAME: Final = 100
"""Characters of an unknown name that are quoted."""
_ANY_TASK: Final = next(iter(TASKS.values()))
"""All tasks treat a job alike: the job itself has its kind."""
MAX_ETA: Final = 2 * timedelta(seconds=RETRY.longest)
"""How far ahead an `eta` may be. Only our own retries have one, of `RETRY.longest` at most; clocks may differ."""
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_NO_LIMITS: Final = ([None, None], None)

logger = get_logger(__name__)


class RollbookConsumer(UninterruptedConsumer):
    """Knows the tasks of `TASKS`, and none of Celery's own. Makes dead letters of all other messages.

    It asks other workers for nothing, whatever the command line says: the answers, which anyone may send who may
    publish, revoke jobs and call tasks.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **(options | {"without_mingle": True, "without_gossip": True}))

    def update_strategies(self) -> None:
        """See Celery."""
        super().update_strategies()
        for name in self.strategies.keys() - {*TASKS.values(), DEAD_LETTER_TASK}:
            del self.strategies[name]

    def create_task_handler(self, promise: Any = None) -> Callable[[Any], Any]:
        """See Celery. Of its promises only the call is used: what they do on errors is for a setting that is off."""
        handle = self._handle = super().create_task_handler(promise or _call)
        channel = self.task_consumer.channel
        if hasattr(channel, "take"):  # kombu's own channel has none
            channel.take = self._take

        def on_task_received(message: Any) -> Any:
            try:
                if not _names_task(message.headers):
                    return self._dead_letter(message, "it names no task")
                if message.headers["task"] == DEAD_LETTER_TASK:
                    message.headers = message.headers | shown_headers(message.body)
                is_small = getattr(message, "size", math.inf) <= MAX_HEADER
                message.headers = _usable(message.headers, may_be_long=not is_small)
                return handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # of any kind: the next message must not suffer for it
                return self._dead_letter(message, f"the worker cannot read it ({type(error).__name__})")

        return on_task_received

    def _take(self, delivered: DeliveredMessage) -> bool:
        """Take a usual message for its batch; return whether that was done."""
        job = usual_job(delivered.envelope, delivered.size)
        if job is None:
            return False
        strategy = self.strategies.get(delivered.envelope["headers"]["task"])
        if not isinstance(strategy, BatchingStrategy):
            return False
        try:
            return strategy.take(delivered, job)
        except (*self.connection_errors, *self.channel_errors):
            raise
        except Exception:  # whatever it is, `on_task_received` makes a dead letter of the message
            return False

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """The message is for a task that is unknown here."""
        name = _quotable(message.headers["task"])
        if name.startswith(TASK_PREFIX):
            message.headers |= {"task": _ANY_TASK, "shadow": name}
            self._handle(message)
        else:
            self._dead_letter(message, f"it is for the task {name}")

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Its headers are invalid, or its content type is not accepted."""
        if isinstance(exc, ContentDisallowed):
            self._dead_letter(message, f"its content type is {_quotable(message.content_type)}, which is not accepted")
        else:
            self._dead_letter(message, f"its headers are invalid ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Its content is not of its content type, or is packed."""
        reason = str(exc) if isinstance(exc, PackedMessage) else f"its content cannot be decoded ({type(exc).__name__})"
        self._dead_letter(message, reason)

    def _dead_letter(self, message: Any, reason: str) -> None:
        if isinstance(message, DeadLetterMessage):
            logger.error("could not make a dead letter of a message that is not a job: %s", reason)
            return
        logger.warning("a message is not a job: %s", reason)
        self._handle(dead_letter_message(message, f"the message is not a job: {reason}"))


def _call(function: Callable[..., Any], args: tuple[Any, ...], on_error: object = None) -> Callable[..., Any]:
    return partial(function, *args)


def _names_task(headers: Any) -> bool:
    """Messages of Celery 3 do not: they name their task in the body."""
    return isinstance(headers, dict) and isinstance(headers.get("task"), str)


def _usable(headers: dict[str, Any], *, may_be_long: bool = True) -> dict[str, Any]:
    """The headers without what would make Celery fail later, or what it would show to people.

    Headers of tracers are text, and stay. Another program's `argsrepr` has the arguments in it: the job with all its
    content.

    may_be_long: whether any of them may have more than `MAX_HEADER` characters.
    """
    limit = headers.get("timelimit")
    usable = {name: value for name, value in headers.items() if type(value) in _PLAIN}
    if may_be_long:
        usable = {name: value for name, value in usable.items() if type(value) is not str or len(value) <= MAX_HEADER}
    if type(id_ := usable.get("id")) is not str or not JOB_ID.fullmatch(id_):
        usable["id"] = uuid()
    if type(usable.get("retries")) is not int:
        usable["retries"] = 0
    if (eta := usable.get("eta")) is not None and is_far_ahead(eta, datetime.now(UTC)):
        usable["eta"] = None
    # Celery would drop the job without a trace; its stamp says what it still means
    usable.pop("expires", None)
    usable["timelimit"] = limit if _is_time_limit(limit) else None
    if type(shown := usable.get("argsrepr")) is not str or shown.startswith(ARGUMENTS):
        usable["argsrepr"] = HIDDEN
    if usable.get("kwargsrepr") not in ("", "{}"):
        usable["kwargsrepr"] = HIDDEN
    return usable


def is_far_ahead(eta: object, now: datetime) -> bool:
    """Whether Celery would hold a message with this `eta` for longer than any retry of ours waits.

    It holds them in memory, where they count against what a worker may have in flight. A job is deferred by its stamp,
    in Postgres, so its message need not wait.
    """
    try:
        at: datetime | None = maybe_iso8601(eta) if isinstance(eta, str) else None
    except (ValueError, OverflowError):
        return False  # Celery says what is wrong with it
    if at is None:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now > MAX_ETA


def _is_time_limit(limit: object) -> bool:
    return limit in _NO_LIMITS or (
        isinstance(limit, list)
        and len(limit) == 2
        and all(part is None or type(part) in (int, float) for part in limit)
    )


def _quotable(name: object) -> str:
    return printable(str(name))[:_MAX_NAME]
