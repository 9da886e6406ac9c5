"""The Celery tasks, one for each kind of job, and one for the batches that workers make of them: each decodes and
delegates to the store.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from celery import Task
from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Trigger
from rollbook_shared.jobs.routing import TASKS
from rollbook_shared.outcomes import DeadLetterCode, JobState
from rollbook_shared.settings import Settings
from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import BATCH_TASK, STRATEGY, Ended, Jobs, only_argument
from rollbook_worker.celery_ext.consumer import DEAD_LETTER_TASK
from rollbook_worker.celery_ext.failure_policy import REQUEST
from rollbook_worker.celery_ext.request import DeadLetter
from rollbook_worker.celery_ext.unprocessable import job_in
from rollbook_worker.observability.tracing import TracedStore, finished, following, following_one, hindered, put_off
from rollbook_worker.store import Outcome, PostgresStore, ReceivedJob, Store
from rollbook_worker.store.retry import RETRY, Contention, StatementTimeout, attempts_exhausted

TRANSACTION_USERS: Final = 1_000
"""How many users the jobs of one transaction may name together: it holds their locks until it ends."""
BATCH_SECONDS: Final = 2.0
"""After which a batch begins no further transaction: a worker that is told to stop waits for it."""

_TOO_LONG: Final = "rollbook_too_long"
"""The header of a message that says how often Postgres took too long over its job."""

logger = get_task_logger(__name__)


@functools.cache
def store() -> Store:
    """This process's store; made when first needed, so that it is never shared across a fork."""
    settings = Settings.from_env()
    if not settings.metrics_port:
        return TracedStore(PostgresStore.from_settings(settings, hindered))
    from rollbook_worker.observability.metrics import MeasuredStore, counting

    def count(by: Contention) -> None:
        hindered(by)
        counting().hindered(by)

    return MeasuredStore(TracedStore(PostgresStore.from_settings(settings, count)), counting())


def apply(task: Task[Any, Any], *args: object, **kwargs: object) -> str:
    """Apply the job that the message holds, its one argument; return how it ended, for those who watch.

    A message that is no job becomes a dead letter, and the task ends with `DeadLetter`. When the store cannot be
    reached the job is sent again for later; until it is applied, it is never acknowledged without a successor.
    """
    with following_one(task):
        return _decide(task, ReceivedJob.of(only_argument(args, kwargs)))


def bury(task: Task[Any, Any], *args: object, **kwargs: object) -> str:
    """Keep a message that is no job, or that the transport gave up, as a dead letter: its text, why, and a code."""
    match args:
        case (str(text), str(reason)) | (str(text), str(reason), "malformed") if not kwargs:
            return _decide(task, ReceivedJob.of_no_job(text, reason))
        case (str(text), str(reason), str(code)) if not kwargs:
            return _decide(task, ReceivedJob.failed(job_in(text), code, reason))
        case _:
            return _decide(task, ReceivedJob.of(only_argument(args, kwargs)))


def _decide(task: Task[Any, Any], arrival: ReceivedJob) -> str:
    try:
        (outcome,) = store().apply([arrival], now=_now())
    except StatementTimeout as error:
        times = _times_too_long(task) + 1
        if attempts_exhausted(times, Settings.from_env().max_deliveries):
            reason = f"{error}, {times} times by itself"
            return _decide(task, ReceivedJob.failed(arrival.text, DeadLetterCode.TOO_SLOW, reason))
        raise _retry(task, error, times) from None
    except Unavailable as error:
        raise _retry(task, error, _times_too_long(task)) from None
    finished(outcome)
    match _said(outcome):
        case DeadLetter() as letter:
            raise letter
        case said:
            return said


def _times_too_long(task: Task[Any, Any]) -> int:
    told = task.request.get(_TOO_LONG)
    return told if isinstance(told, int) else 0


def _retry(task: Task[Any, Any], error: Unavailable, too_long: int) -> Any:
    """Send the job again for later; return the exception that its task is to end with."""
    put_off(error)
    headers = {**(task.request.headers or {}), _TOO_LONG: too_long}
    logger.warning("%s %s: %s; trying again", task.name, task.request.id, error)
    try:
        return task.retry(exc=error, countdown=RETRY.delay(task.request.retries), headers=headers, throw=False)
    except Reject:
        # the successor could not be sent: Celery would now drop the job; `failing` has it tried again
        return Reject(error, requeue=True)


def apply_together(task: Task[Any, Any], jobs: Jobs) -> Ended:
    """Apply the jobs of a batch, in as few transactions as `TRANSACTION_USERS` allows; return how they ended.

    When the store cannot be reached, or `BATCH_SECONDS` are over, tells how the jobs of the transactions before ended.
    """
    said: list[str | DeadLetter] = []
    end = time.monotonic() + BATCH_SECONDS
    with following(task, jobs.sent or [None] * len(jobs)) as followed:
        for arrivals in _transactions(map(ReceivedJob.of, jobs)):
            try:
                outcomes = store().apply(arrivals, now=_now())
            except Unavailable as error:
                followed.failed(error)
                return Ended(said, str(error), too_long=isinstance(error, StatementTimeout))
            said += followed.finished(outcomes, _said)
            if time.monotonic() > end:
                break
    return Ended(said)


def _transactions(arrivals: Iterable[ReceivedJob]) -> Iterator[list[ReceivedJob]]:
    together: list[ReceivedJob] = []
    users = 0
    for arrival in arrivals:
        users += (more := _users_named(arrival))
        if together and users > TRANSACTION_USERS:
            yield together
            together, users = [], more
        together.append(arrival)
    if together:
        yield together


def _users_named(arrival: ReceivedJob) -> int:
    match arrival.job:
        case BulkIdentify(users=users):
            return len(users)
        case BulkDelete(user_ids=ids) | BulkSetPreferences(user_ids=ids):
            return len(ids)
        case Trigger(recipients=recipients):
            return len(recipients)
        case _:
            return 1


def _said(outcome: Outcome) -> str | DeadLetter:
    if outcome.state is JobState.DEAD:
        named = {
            "job_id": outcome.job_id,
            "kind": outcome.kind or None,
            "outcome": outcome.state.value,
            "code": outcome.code,
        }
        logger.warning("%s %s: dead (%s)", outcome.kind or "job", outcome.job_id, outcome.code, extra=named)
        return DeadLetter(outcome.code)
    return str(outcome.state)


def _now() -> int:
    return time.time_ns() // 1_000


for _name in TASKS.values():
    # no limit to the retries: when they end, Celery drops the job. (`retry(max_retries=None)` means this task's limit.)
    app.task(
        bind=True,
        name=_name,
        typing=False,
        max_retries=None,
        throws=(DeadLetter,),  # expected: Celery would write a traceback into the log
        Strategy=STRATEGY,
        Request=REQUEST,
    )(apply)

app.task(bind=True, name=BATCH_TASK, typing=False)(apply_together)
app.task(bind=True, name=DEAD_LETTER_TASK, typing=False, max_retries=None, throws=(DeadLetter,), Request=REQUEST)(bury)
