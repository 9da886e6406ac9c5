"""Jobs, as reads return them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rollbook.models.model import Model
from rollbook_shared.job_states import DeadLetterCode, JobState

MergeEffect = Literal["merge", "redirect", "nothing"]
"""What a merge does: see `MergePreview.effect` and `JobStatus.effect`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedItem(Model):
    """A user of a bulk job that the worker rejected. The job's other users were applied."""

    index: int | None
    """The user's position in the job, from 0."""
    field: str
    """The field of the job that is wrong: `users[3].email`."""
    reason: str
    """Why, for people. It quotes no value."""
    code: str = DeadLetterCode.INVALID
    """Why, for programs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus(Model):
    """What has become of a job.

    - `queued`: no worker has applied it yet. An id that was never sent looks the same.
    - `deferred`: it takes effect later, at `due_at`.
    - `applied`: it has taken effect, except for the parts in `rejected` and `skipped`. Of a trigger, `reason` says if
      it was older than messages are kept, and made none.
    - `rejected`: every item of it is invalid. `code` and `reason` say why.
    - `dead`: it could not be applied and is kept as a `DeadLetter`. `code` and `reason` say why.
    - `cancelled`: it was deferred, and was cancelled before it was due. `reason` says so if that was because a user was
      erased.

    The status of a finished job is kept for some days (`ROLLBOOK_JOB_RETENTION_DAYS`). After that the job looks like
    one that was never sent.
    """

    id: str
    """The job's id."""
    kind: str | None
    """`identify`, `trigger` and so on. None while the job is queued, unless its `JobHandle` is asked."""
    state: JobState
    """The state, see above."""
    code: str | None = None
    reason: str | None = None
    effect: MergeEffect | None = None
    """Of an applied merge, what it did: `merge`: the secondary became part of the primary. `redirect`: the secondary
    was not known, and its id stands for the primary since. `nothing`: it took no effect; `reason` says why. A job that
    arrives later with an earlier time may change this. None in lists, and once the users are erased.
    """
    applied: int | None = None
    """Of a bulk job: the number of users that it was applied to."""
    rejected: tuple[RejectedItem, ...] = ()
    """Of a bulk job: the users that were rejected, with the reasons."""
    skipped: tuple[str, ...] = ()
    """Of a trigger: the recipients that were named by id only and were not known."""
    duplicates: int = 0
    """How often the job was delivered again after it was finished. Duplicates change nothing."""
    finished_at: datetime | None = None
    """When a worker finished it, by the worker's clock: aware. Of a deferred job: when a worker stored it."""
    trace_id: str | None = None
    """The trace in which it was published, as 32 hexadecimal digits, if that was recorded: for a search in your tool
    for traces."""
    due_at: datetime | None = None
    """Of a deferred or cancelled job: when it takes effect, or would have: aware, in UTC."""

    @property
    def is_final(self) -> bool:
        """Whether the job is finished, so that waiting longer changes nothing."""
        return self.state.is_final


@dataclass(frozen=True, kw_only=True, slots=True)
class DeferredJob(Model):
    """A job that takes effect later: its `id`, its `kind` (`trigger` and so on), and when (`due_at`, aware)."""

    id: str
    kind: str
    due_at: datetime
