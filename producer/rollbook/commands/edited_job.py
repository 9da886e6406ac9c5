"""Checks a job that a person has edited as strictly as a new one: by the client's limits, and by its clock.

The job's own model has checked its fields already, and what bounds the work of a worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rollbook.commands.arguments import Arguments
from rollbook.commands.user_update_checks import check_user_update
from rollbook_shared.errors import Problem
from rollbook_shared.jobs import UserUpdate
from rollbook_shared.jobs.models import (
    BulkDelete,
    BulkIdentify,
    BulkSetPreferences,
    Identify,
    Job,
    SetChannelData,
    SetPreferences,
    Trigger,
    UpdatePreferences,
)

if TYPE_CHECKING:
    from rollbook_shared.limits import Limits

_MICROSECOND: Final = timedelta(microseconds=1)


def check_as_new(job: Job, *, limits: Limits, now: int) -> None:
    """Check the job as a call of the client would.

    now: the present time in microseconds since 1970.

    Raises:
        InvalidRequest: with every problem of the job.
    """
    with Arguments("replay", limits) as arguments:
        arguments.add(_late(job, limits, now))
        match job:
            case Identify(user=user):
                _check_user(arguments, user, "body.user")
            case BulkIdentify(users=users):
                arguments.items(users, "body.users", most=limits.max_bulk_users, what="users")
                for index, each in enumerate(users):
                    if isinstance(each, UserUpdate):
                        _check_user(arguments, each, f"body.users[{index}]", index)
                arguments.check_job_size(job, "body.users", len(users))
            case BulkDelete(user_ids=ids):
                arguments.items(ids, "body.user_ids", most=limits.max_bulk_users, what="user ids")
            case BulkSetPreferences(user_ids=ids, settings=settings):
                arguments.items(ids, "body.user_ids", most=limits.max_bulk_users, what="user ids")
                arguments.check_ids("body.user_ids", ids)
                arguments.check_size("body.settings", settings, limits.max_data_bytes)
            case SetPreferences(settings=settings):
                arguments.check_size("body.settings", settings, limits.max_data_bytes)
            case UpdatePreferences(changes=changes):
                arguments.check_size("body.changes", changes, limits.max_data_bytes)
            case SetChannelData(data=data):
                arguments.check_size("body.data", data, limits.max_data_bytes)
            case Trigger():
                _check_trigger(arguments, job, limits)
            case _:
                pass


def _late(job: Job, limits: Limits, now: int) -> Iterator[Problem]:
    if not job.deferred and job.occurred_at - now > limits.max_clock_skew // _MICROSECOND:
        seconds = limits.max_clock_skew.total_seconds()
        yield Problem("body.occurred_at", f"is more than {seconds:g} seconds ahead, and the job is not `deferred`")


def _check_trigger(arguments: Arguments, job: Trigger, limits: Limits) -> None:
    arguments.items(job.recipients, "body.recipients", most=limits.max_recipients, what="recipients")
    if (messages := job.message_count) > limits.max_messages:
        reason = f"{messages:,} messages; ROLLBOOK_MAX_MESSAGES allows {limits.max_messages:,} in one trigger"
        arguments.add([Problem("body.recipients", reason)])
    for index, person in enumerate(job.recipients):
        if isinstance(person, UserUpdate):
            _check_user(arguments, person, f"body.recipients[{index}]", index)
    if isinstance(job.actor, UserUpdate):
        _check_user(arguments, job.actor, "body.actor")
    arguments.check_size("body.data", job.data, limits.max_data_bytes)
    arguments.check_job_size(job, "body.recipients", len(job.recipients))


def _check_user(arguments: Arguments, user: UserUpdate, where: str, index: int | None = None) -> None:
    parts = {name: part for name in ("preferences", "channel_data") if (part := getattr(user, name))}
    check_user_update(arguments, {**user.traits, **parts}, user_id=user.id, where=where, index=index)
