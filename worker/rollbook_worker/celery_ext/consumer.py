"""What a worker makes of messages that are nobody's job: foreign tasks, other content than JSON, broken headers.

Celery's consumer drops them, writes what they hold into the log, and some end the worker. This one gives each to the
task `rollbook.dead_letter`, which keeps it as a dead letter and acknowledges it; like any job it waits for a
Postgres that is
away. A task of ours that is not known here, of a newer version, is a job all the same: the store says what is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from celery.utils.log import get_logger
from kombu.exceptions import ContentDisallowed
from kombu.message import Message
from kombu.utils.uuid import uuid

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.jobs.routing import TASK_PREFIX, TASKS
from rollbook_shared.json_values import printable
from rollbook_worker.celery_ext import signals

CONSUMER: Final = f"{__name__}:Consumer"
DEAD_LETTER_TASK: Final = f"{TASK_PREFIX}dead_letter"
HIDDEN: Final = "(not shown)"

_JSON: Final = "application/json"
_MOST_SHOWN: Final = 100
"""Characters of a foreign name that are quoted."""
_ANY_KIND: Final = next(iter(TASKS.values()))
"""All tasks treat a job alike; its kind stands in the job itself."""

_ARGUMENTS: Final = ("[", "('", '("', "(b", "([", "({", "(<")
"""How Python writes arguments; our summaries begin otherwise."""

logger = get_logger(__name__)


class Consumer(signals.Consumer):
    """Celery's consumer, to which no message is a stranger. Knows the tasks of `TASKS` and none of Celery's own."""

    def update_strategies(self) -> None:
        """See Celery."""
        super().update_strategies()
        for name in self.strategies.keys() - {*TASKS.values(), DEAD_LETTER_TASK}:
            del self.strategies[name]

    def create_task_handler(self, *args: Any) -> Callable[[Any], Any]:
        """See Celery."""
        take = self._take = super().create_task_handler(*args)

        def on_task_received(message: Any) -> Any:
            try:
                if not _is_addressed(message.headers):
                    return self._bury(message, "it names no task")
                message.headers = _usable(message.headers)
                return take(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # whatever it is, the next message is not to suffer for it
                return self._bury(message, f"it cannot be taken ({type(error).__name__})")

        return on_task_received

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """It names one that is not known here."""
        name = _short(message.headers["task"])
        if name.startswith(TASK_PREFIX):
            message.headers |= {"task": _ANY_KIND, "shadow": name}
            self._take(message)
        else:
            self._bury(message, f"it is for the task {name}")

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Its headers are no good, or its content is rejected unopened."""
        if isinstance(exc, ContentDisallowed):
            self._bury(message, f"its content is {_short(message.content_type)}, which is rejected unopened")
        else:
            self._bury(message, f"its headers are no good ({type(exc).__name__})")

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Its content is not what it says."""
        self._bury(message, f"its content cannot be decoded ({type(exc).__name__})")

    def _bury(self, message: Any, reason: str) -> None:
        if isinstance(message, Letter):
            logger.error("a message that is no job cannot be buried: %s", reason)
            return
        logger.warning("a message is no job: %s", reason)
        self._take(_letter(message, f"the message is no job: {reason}"))


class Letter(Message):
    """A message as an argument of `rollbook.dead_letter`; whoever acknowledges it acknowledges the message."""


def _letter(message: Any, reason: str) -> Letter:
    arguments = [[_text(message.body), reason], {}, {}]
    return Letter(  # type: ignore[no-untyped-call]
        body=json.dumps(arguments),
        delivery_tag=message.delivery_tag,
        content_type=_JSON,
        content_encoding="utf-8",
        delivery_info=message.delivery_info,
        headers={"task": DEAD_LETTER_TASK, "id": uuid(), "argsrepr": HIDDEN, "kwargsrepr": "{}"},
        channel=message.channel,
        accept={_JSON},
    )


def _is_addressed(headers: Any) -> bool:
    """Messages of before Celery 4 are not: they name their task in the body."""
    return isinstance(headers, dict) and isinstance(headers.get("task"), str)


def _usable(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers without what Celery would stumble over when the job is under way, or show to people.

    Headers of tracers are text, and stay. A sender of another make says in `argsrepr` what the arguments are, which is
    the job with all that is in it.
    """
    usable = {name: value for name, value in headers.items() if value is None or type(value) in (str, int, bool)}
    if type(id_ := usable.get("id")) is not str or not JOB_ID.fullmatch(id_):
        usable["id"] = uuid()
    if type(usable.get("retries")) is not int:
        usable["retries"] = 0
    usable["timelimit"] = limit if _is_time_limit(limit := headers.get("timelimit")) else None
    if type(shown := usable.get("argsrepr")) is not str or shown.startswith(_ARGUMENTS):
        usable["argsrepr"] = HIDDEN
    if usable.get("kwargsrepr") not in ("", "{}"):
        usable["kwargsrepr"] = HIDDEN
    return usable


def _is_time_limit(limit: object) -> bool:
    return limit is None or (
        isinstance(limit, list)
        and len(limit) == 2
        and all(part is None or type(part) in (int, float) for part in limit)
    )


def _short(name: object) -> str:
    return printable(str(name))[:_MOST_SHOWN]


def _text(body: object) -> str:
    return body.decode(errors="backslashreplace") if isinstance(body, bytes) else str(body)
