"""Where calls of the buffered face become jobs: identifies are gathered, all others sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollbook.commands import WriteOptions
from rollbook.models import JobStatus
from rollbook.publishing.buffered.buffer import Buffer
from rollbook.resources.context import ClientContext, DerivedContext
from rollbook.resources.jobs import JobHandle, Jobs
from rollbook_shared import jobs
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.codec import encode_user


class _GatheredJob(JobHandle):
    """The bulk job that a user will be sent in; others are in it too."""

    __slots__ = ()

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs = jobs
        self._id = job_id
        self._kind = "bulk_identify"

    def status(self) -> JobStatus:
        """Look up what has become of the bulk job; `queued` also while it is not sent."""
        return self._jobs.get(self._id)


class BufferedContext(DerivedContext):
    """A desk whose identifies go into the buffer, those without options; closing it closes the buffer."""

    def __init__(self, context: ClientContext, buffer: Buffer) -> None:
        super().__init__(context, context.publisher())
        self._buffer = buffer

    def send(
        self,
        model: type[jobs.Job],
        found: list[Problem],
        options: WriteOptions,
        renames: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> JobHandle:
        # With a time or an id of its own, its place among jobs of the same moment hangs on that id.
        if model is not jobs.Identify or any(value is not None for value in options.values()):
            return super().send(model, found, options, renames, **fields)
        if found:
            raise InvalidRequest(found)
        return _GatheredJob(self.jobs, self._buffer.add(encode_user(fields["user"]), self._clock()))

    def close(self) -> None:
        # the connections are the other desk's
        self._buffer.close()
