"""Workflows: trigger them for recipients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from rollbook import commands

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
    from rollbook.resources.context import ClientContext
    from rollbook.resources.jobs import JobHandle


class Workflows:
    """Trigger workflows."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def trigger(
        self,
        workflow: str,
        recipients: Iterable[str | Mapping[str, Any]],
        *,
        actor: str | Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        channels: Iterable[str] = ("in_app",),
        categories: Iterable[str] = (),
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Start a workflow: one activity for each recipient, and one message for each recipient and channel.

        A recipient given as a mapping is identified first, as by `users.identify`. A recipient given as an id is
        skipped if it is not known, and the job's status says so. A recipient given twice gets one message per channel.
        Which users are known, and what their preferences allow, is decided as of the time when the trigger happened.

            rb.workflows.trigger("comment", ["ann", {"id": "bo", "name": "Bo"}], actor="cy", data={"page": 7})

        workflow: its name, 1 to 256 characters of your choosing.
        recipients: 1 to 1,000 (see `Limits`) user ids, or mappings with an `id` and what `users.identify` takes.
        actor: the user who caused it, as an id or a mapping. Feeds show an unknown actor as missing.
        data: what the workflow is about: an object of at most 256 KiB as JSON.
        tenant: on whose behalf. If a recipient has a preference set of that name, it applies.
        channels: the channel types on which messages are made, 1 to 100.
        categories: what the workflow belongs to, at most 100; the recipients' preferences may name them. A message is
            made only if every setting that applies to it is true or absent.
        job_id: 1 to 128 of `[A-Za-z0-9._:-]`; a second job with the same id changes nothing.
        occurred_at: when it happened (an aware datetime), by default now.
        run_at, delay: when it is to happen (an aware datetime), or how long from now (a timedelta, or seconds). Users
            and preferences of that time count. `rb.jobs.cancel(job.id)` cancels it.

        Raises:
            InvalidRequest: the call is invalid; each problem names its field and index (`recipients[1].email`).
                Nothing was sent.
            NotConfigured: there is no broker URL. With `rb.outbox(...)`: the table `rollbook_outbox` is missing.
            NotSent: the broker may not have the job; sending it again with the error's `job_id` is safe.
        """
        job = commands.trigger(
            workflow,
            recipients,
            actor=actor,
            data=data,
            tenant=tenant,
            channels=channels,
            categories=categories,
            limits=self._context.limits,
            now=self._context.now(),
            **options,
        )
        return self._context.publish(job)
