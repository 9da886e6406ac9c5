"""What Celery's events say of the end of a job, so that Flower and other monitors show what became of it.

Celery keeps one state for each task id, and the task of a job has the job's id. Of several events `SUCCESS` is kept
rather than `FAILURE`. So two rules keep what is shown true:

- A message that became a dead letter, although its id belongs to another job, is a task of its own: `ID~KEY`, with the
  key of the dead letter. No job id contains `~`. Its first events, from before that was known, went to the row of the
  other job, so another event says there again what became of that job.
- The end of a job clears the error of earlier tries.

Celery lets an event name a state that it does not know; `DEFERRED` and `CANCELLED` are such states.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from rollbook_shared.job_states import JobState, StandingJob
from rollbook_shared.jobs.celery_task import TASK_PREFIX
from rollbook_worker.celery_ext.job_failures import DeadLettered, JobFailed, JobRejected

NO_VALID_ITEM: Final = "every user in it is rejected"

_TYPES: Final = {JobState.DEFERRED.value: "task-deferred", JobState.CANCELLED.value: "task-cancelled"}
"""Celery makes the state of the type: what follows `task-`, in capitals."""
_NO_ERROR: Final = {"exception": None, "traceback": None}
_APPLIED: Final = repr(str(JobState.APPLIED))


class TaskEvent(NamedTuple):
    """An event: its type, the id of the task, and its other fields."""

    type: str
    task_id: str
    fields: dict[str, Any]


class ShownTask(NamedTuple):
    """The task of a message, as its earlier events have shown it."""

    id: str
    name: str
    args: str


def end_events(task: ShownTask, end: str | JobFailed, *, started: float, runtime: float) -> list[TaskEvent]:
    """The events that say how a task ended, in order. `started` is in seconds since 1970."""
    match end:
        case DeadLettered(standing=StandingJob() as standing) if end.job_id == task.id:
            own_id = f"{task.id}~{end.key}"
            shown = {"name": task.name, "args": task.args, "kwargs": "{}", "received": started, "started": started}
            failure = _failure(end, f"rollbook jobs show {task.id} --key {end.key}")
            return [
                TaskEvent("task-failed", own_id, {**shown, **failure, "runtime": runtime}),
                _end_of_standing(task.id, standing, own_id),
            ]
        case DeadLettered():
            return [
                TaskEvent(
                    "task-failed", task.id, {**_failure(end, f"rollbook jobs show {end.job_id}"), "runtime": runtime}
                )
            ]
        case JobFailed():
            return [
                TaskEvent(
                    "task-failed", task.id, {**_failure(end, f"rollbook jobs get {end.job_id}"), "runtime": runtime}
                )
            ]
        case _:
            return [TaskEvent(_type_of(end), task.id, {**_result(end), "runtime": runtime})]


def applied_fields(task_id: str, runtime: float) -> dict[str, Any]:
    """The fields of the one event of a job that was applied, of the type `task-succeeded`."""
    return {"uuid": task_id, "result": _APPLIED, **_NO_ERROR, "runtime": runtime}


def _end_of_standing(task_id: str, job: StandingJob, other_id: str) -> TaskEvent:
    """Say again what became of a job. A worker that receives another job under its id does not know its summary."""
    shown = {"name": TASK_PREFIX + job.kind, "args": f"another job was sent under this id: {other_id}"}
    if job.state is JobState.REJECTED:
        rejected = JobRejected(NO_VALID_ITEM, job_id=task_id)
        return TaskEvent("task-failed", task_id, {**shown, **_failure(rejected, f"rollbook jobs get {task_id}")})
    return TaskEvent(_type_of(job.state), task_id, {**shown, **_result(str(job.state))})


def _type_of(result: str) -> str:
    return _TYPES.get(result, "task-succeeded")


def _result(result: str) -> dict[str, Any]:
    return {"result": repr(result), **_NO_ERROR}


def _failure(error: JobFailed, command: str) -> dict[str, Any]:
    """`command` shows more, and takes the place of the result."""
    return {"exception": repr(error), "traceback": None, "result": command}
