"""Workflows: started for recipients, by an actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from rollbook.commands import WriteOptions, as_list, parse_user, plain
from rollbook.resources.context import ClientContext
from rollbook.resources.jobs import JobHandle
from rollbook_shared import jobs
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.limits import HARD_RECIPIENTS


class Workflows:
    """Start workflows."""

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
        """Start a workflow: an activity for each recipient, and a message on each channel.

        A recipient given as a mapping is identified first, as `users.identify` would; one named by id only is skipped
        when it is not known, and the job's status says so. The same recipient twice gets one message per channel. Who
        is known, and what they want to hear of, is as of the time when it happened.

            rb.workflows.trigger("comment", ["ann", {"id": "bo", "name": "Bo"}], actor="cy", data={"page": 7})

        workflow: its name, 1 to 256 characters of your choosing.
        recipients: 1 to 1,000 (see `Limits`) user ids, or mappings with an `id` and what `users.identify` takes.
        actor: who caused it, likewise. One that is not known is a marker in feeds.
        data: what the workflow is about: an object of at most 256 KiB as JSON.
        tenant: on whose behalf; the recipients' preference set of that name applies, where they have one.
        channels: the channel types on which messages are made: 1 to 100.
        categories: what the workflow belongs to, at most 100; a recipient's preferences may speak of them. A message is
            made only if every setting that applies is true or absent.
        job_id: 1 to 128 of `[A-Za-z0-9._:-]`; the same id sent again changes nothing.
        occurred_at: when it happened (aware), by default now.
        run_at, delay: when it is to happen (aware), or how long from now (a timedelta, or seconds). Who is known then
            counts, and what they want to hear of then; `rb.jobs.cancel(job.id)` takes it back.

        Raises:
            InvalidRequest: something is wrong with it, named by field and index (`recipients[1].email`); nothing was
            sent.
            NotConfigured: there is no broker URL. Of `rb.outbox(...)`: there is no table `rollbook_outbox`.
            NotSent: the broker may not have it; send it again with the error's `job_id`.
        """
        found: list[Problem] = []
        limit = min(self._context.limits.recipients, HARD_RECIPIENTS)
        who = [
            self._person(found, recipient, f"recipients[{index}]", index)
            for index, recipient in enumerate(
                as_list(found, recipients, "recipients", limit=limit, what="user ids or mappings")
            )
        ]
        return self._context.send(
            jobs.Trigger,
            found,
            options,
            workflow=workflow,
            recipients=tuple(who),
            actor=None if actor is None else self._person(found, actor, "actor"),
            data={} if data is None else plain(data),
            tenant=tenant,
            channels=as_list(found, channels, "channels", limit=100, what="channel names"),
            categories=as_list(found, categories, "categories", limit=100, what="category names", least=0),
        )

    def _person(self, found: list[Problem], person: object, where: str, index: int | None = None) -> object:
        if isinstance(person, Mapping):
            return parse_user(found, person, self._context.limits, where=where, index=index)
        return person
