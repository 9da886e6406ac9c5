"""The Celery tasks: one for each kind of job, one for dead letters, and one for the batches that workers make.

Fourteen task names share one function, `apply`. A job's message holds its kind, and no task treats one kind in another
way. The names exist for people: Flower, `celery inspect` and events show the task's name, so that its last part shows
the kind of each job without opening the job.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Final

from celery import Task
from celery.exceptions import Reject
from celery.utils.log import get_task_logger

from rollbook_shared.errors import Unavailable
from rollbook_shared.job_states import DeadLetterCode, JobState
from rollbook_shared.jobs.celery_task import TASKS
from rollbook_shared.jobs.models import BulkDelete, BulkIdentify, BulkSetPreferences, Identify, Trigger
from rollbook_shared.observability.tracing import extract_trace, tracer
from rollbook_shared.settings import Settings
from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import BATCH_TASK, STRATEGY, Batch, BatchResult, only_argument
from rollbook_worker.celery_ext.dead_letters import DEAD_LETTER_TASK, job_in
from rollbook_worker.celery_ext.job_failures import DeadLettered, JobFailed, JobRejected
from rollbook_worker.celery_ext.request import REQUEST
from rollbook_worker.celery_ext.task_events import NO_VALID_ITEM
from rollbook_worker.observability.tracing import (
    TracedStore,
    record_contention,
    record_failure,
    record_outcome,
    trace_batch,
    trace_job,
)
from rollbook_worker.process_store import process_store
from rollbook_worker.store import Outcome, ReceivedJob, Store
from rollbook_worker.store.retry import RETRY, Contention, StatementTimeout, attempts_exhausted

MAX_TRANSACTION_USERS: Final = 1_000
"""Users that the jobs of one transaction may name together: it holds their locks until it ends."""
MESSAGES_PER_USER: Final = 10
"""So many messages of triggers count as one more user: a transaction holds all of its rows in memory."""
MAX_BATCH_SECONDS: Final = 2.0
"""After which a batch begins no further transaction: a worker that is asked to stop waits for it."""

_TIMEOUTS: Final = "rollbook_timeouts"
"""The header of a message with the number of times that Postgres took too long over its job."""

logger = get_task_logger(__name__)


@functools.cache
def store() -> Store:
    """This process's store; made when it is first needed, so that it is never shared across a fork."""
    settings = Settings.from_env()
    if not settings.metrics_port:
        return _traced(process_store(settings, record_contention))
    from rollbook_worker.observability.metrics import MeasuredStore, worker_metrics

    metrics = worker_metrics()

    def on_contention(reason: Contention) -> None:
        record_contention(reason)
        metrics.record_contention(reason)

    return MeasuredStore(_traced(process_store(settings, on_contention)), metrics)


@functools.cache
def is_traced() -> bool:
    """Whether an SDK of OpenTelemetry is set up in this process. The first job looks, so it must be set up before."""
    return tracer() is not None


def _traced(store: Store) -> Store:
    return TracedStore(store) if is_traced() else store


def apply(task: Task[Any, Any], *args: object, **kwargs: object) -> str:
    """Apply the job in the message, its one argument; return its outcome, for monitoring.

    A message that is not a job becomes a dead letter, and the task ends with `DeadLettered`. If every item of a job
    is invalid, it ends with `JobRejected`. If the store is not available, the job is sent again for later. A message is
    acknowledged only when its job is applied, or sent again.
    """
    with trace_job(task):
        return _apply(task, ReceivedJob.of(only_argument(args, kwargs), extract_trace(task.request.headers or {})))


def dead_letter(task: Task[Any, Any], *args: object, **kwargs: object) -> str:
    """Store as a dead letter a message that is not a job, or that the transport gave up: its text, a reason, a code."""
    match args:
        case (str(text), str(reason)) | (str(text), str(reason), DeadLetterCode.MALFORMED) if not kwargs:
            return _apply(task, ReceivedJob.of_no_job(text, reason))
        case (str(text), str(reason), str(code)) if not kwargs:
            return _apply(task, ReceivedJob.failed(job_in(text), code, reason))
        case _:
            return _apply(task, ReceivedJob.of(only_argument(args, kwargs)))


def _apply(task: Task[Any, Any], job: ReceivedJob) -> str:
    try:
        (outcome,) = store().apply([job])
    except StatementTimeout as error:
        timeouts = _timeouts(task) + 1
        if attempts_exhausted(timeouts, Settings.from_env().max_deliveries):
            reason = f"{error}, {timeouts} times by itself"
            return _apply(task, ReceivedJob.failed(job.text, DeadLetterCode.TOO_SLOW, reason))
        raise _retry(task, error, timeouts) from None
    except Unavailable as error:
        raise _retry(task, error, _timeouts(task)) from None
    record_outcome(outcome)
    match _reported(outcome):
        case JobFailed() as failed:
            raise failed
        case state:
            return state


def _timeouts(task: Task[Any, Any]) -> int:
    timeouts = task.request.get(_TIMEOUTS)
    return timeouts if isinstance(timeouts, int) else 0


def _retry(task: Task[Any, Any], error: Unavailable, timeouts: int) -> Any:
    """Send the job again for later; return the exception that ends its task."""
    record_failure(error)
    headers = {**(task.request.headers or {}), _TIMEOUTS: timeouts}
    logger.warning("%s %s: %s; retrying", task.name, task.request.id, error)
    try:
        return task.retry(exc=error, countdown=RETRY.delay(task.request.retries), headers=headers, throw=False)
    except Reject:
        # the new message could not be sent: Celery would drop the job; `RollbookRequest` snoozes its message
        return Reject(error, requeue=True)


def apply_batch(task: Task[Any, Any], batch: Batch) -> BatchResult:
    """Apply the jobs of a batch, in as few transactions as `MAX_TRANSACTION_USERS` allows; return their outcomes.

    If the store is not available, or `MAX_BATCH_SECONDS` are over, return the outcomes of the transactions so far.
    """
    if not is_traced():
        return _apply_jobs(batch, lambda outcomes: [*map(_reported, outcomes)])
    with trace_batch(task, batch.traces or [None] * len(batch)) as trace:
        return _apply_jobs(batch, lambda outcomes: trace.finish(outcomes, _reported), trace.fail)


def _apply_jobs(
    batch: Batch,
    report: Callable[[list[Outcome]], list[str | JobFailed]],
    on_unavailable: Callable[[Unavailable], None] = lambda error: None,
) -> BatchResult:
    reported: list[str | JobFailed] = []
    end = time.monotonic() + MAX_BATCH_SECONDS
    sent = [None if trace is None else trace.trace for trace in batch.traces] or repeat(None)
    for jobs in _transactions(map(ReceivedJob.of, batch, sent)):
        try:
            outcomes = store().apply(jobs)
        except Unavailable as error:
            on_unavailable(error)
            return BatchResult(reported, str(error), timed_out=isinstance(error, StatementTimeout))
        reported += report(outcomes)
        if time.monotonic() > end:
            break
    return BatchResult(reported)


def _transactions(jobs: Iterable[ReceivedJob]) -> Iterator[list[ReceivedJob]]:
    together: list[ReceivedJob] = []
    users = 0
    for job in jobs:
        users += (more := _users_named(job))
        if together and users > MAX_TRANSACTION_USERS:
            yield together
            together, users = [], more
        together.append(job)
    if together:
        yield together


def _users_named(received: ReceivedJob) -> int:
    match received.job:
        case Identify():  # nearly all; to find that a model is of no other class takes longer
            return 1
        case BulkIdentify(users=users):
            return len(users)
        case BulkDelete(user_ids=ids) | BulkSetPreferences(user_ids=ids):
            return len(ids)
        case Trigger(recipients=recipients) as trigger:
            return max(len(recipients), trigger.message_count // MESSAGES_PER_USER)
        case _:
            return 1


def _reported(outcome: Outcome) -> str | JobFailed:
    """The outcome as monitoring gets it: of a duplicate, what became of the job. A dead letter is logged."""
    state = outcome.state
    if state is JobState.DUPLICATE and outcome.standing and outcome.standing.state is not JobState.APPLIED:
        state = outcome.standing.state
    match state:
        case JobState.DEAD:
            fields = {
                "job_id": outcome.job_id,
                "kind": outcome.kind or None,
                "outcome": outcome.state.value,
                "code": outcome.code,
            }
            logger.warning("%s %s: dead (%s)", outcome.kind or "job", outcome.job_id, outcome.code, extra=fields)
            key = outcome.key or ""
            return DeadLettered(str(outcome.code), job_id=outcome.job_id, key=key, standing=outcome.standing)
        case JobState.REJECTED:
            return JobRejected(NO_VALID_ITEM, job_id=outcome.job_id)
        case _:
            return str(state)


for _name in TASKS.values():
    # no limit to retries: at the limit Celery would drop the job. (`retry(max_retries=None)` means this task's limit.)
    app.task(
        bind=True,
        name=_name,
        typing=False,
        max_retries=None,
        throws=(JobFailed,),  # expected: Celery would write a traceback into the log
        Strategy=STRATEGY,
        Request=REQUEST,
    )(apply)

app.task(bind=True, name=BATCH_TASK, typing=False)(apply_batch)
app.task(bind=True, name=DEAD_LETTER_TASK, typing=False, max_retries=None, throws=(JobFailed,), Request=REQUEST)(
    dead_letter
)
