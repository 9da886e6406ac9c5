"""For tests of applications that use Rollbook: a client that makes every check of production and needs no Redis.

    def test_sign_up_identifies_the_user(rollbook_recording):
        sign_up("ann@example.com", rollbook=rollbook_recording)

        (job,) = rollbook_recording.sent.of(Identify)
        assert job.user.traits["email"] == "ann@example.com"

The installed package brings the pytest fixture `rollbook_recording`; with other test runners use `recording()`. For
`AsyncRollbook` there are `async_rollbook_recording` and `async_recording()`. An invalid call raises `InvalidRequest` as
in production. With `rollbook_recording.publisher.is_down = True` every write raises `NotSent`. The kinds of jobs are
exported here, for `sent.of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rollbook.async_client import AsyncRollbook
from rollbook.client import Rollbook
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import (
    AddPushToken,
    BulkDelete,
    BulkIdentify,
    BulkSetPreferences,
    Delete,
    Identify,
    Job,
    Mark,
    MarkAll,
    Merge,
    RemovePushToken,
    SetChannelData,
    SetPreferences,
    Trigger,
    UnsetChannelData,
    UnsetPreferences,
    UpdatePreferences,
    UserUpdate,
)

if TYPE_CHECKING:
    from rollbook.resources.context import Clock
    from rollbook_shared.limits import Limits

try:
    import pytest
except ModuleNotFoundError:  # recording() works with any test runner
    _HAS_PYTEST = False
else:
    _HAS_PYTEST = True

__all__ = [
    "AddPushToken",
    "AsyncRecordingPublisher",
    "AsyncRecordingRollbook",
    "BulkDelete",
    "BulkIdentify",
    "BulkSetPreferences",
    "Delete",
    "Identify",
    "Mark",
    "MarkAll",
    "Merge",
    "RecordingPublisher",
    "RecordingRollbook",
    "RemovePushToken",
    "SentJobs",
    "SetChannelData",
    "SetPreferences",
    "Trigger",
    "UnsetChannelData",
    "UnsetPreferences",
    "UpdatePreferences",
    "UserUpdate",
    "async_recording",
    "recording",
]

J = TypeVar("J", bound=Job)


class SentJobs(list[Job]):
    """The jobs that were sent, oldest first."""

    def of(self, kind: type[J]) -> list[J]:
        """The jobs of one kind, such as `Identify`, oldest first."""
        return [job for job in self if isinstance(job, kind)]

    def about(self, user_id: str) -> list[Job]:
        """The jobs that name the user in any role: updated, deleted, merged, recipient, actor. A `Mark` without
        `user_id` names no user.
        """
        return [job for job in self if user_id in job.user_ids]


class _Recording:
    def __init__(self) -> None:
        self.sent = SentJobs()
        self.is_down = False
        """Set it to make every write raise `NotSent`, as when Redis is down."""

    def _keep(self, job: Job) -> None:
        if self.is_down:
            raise NotSent(job.id)
        self.sent.append(decode(encode(job)))


class RecordingPublisher(_Recording):
    """A publisher that keeps the jobs in `sent` and sends none."""

    def publish(self, job: Job) -> None:
        """Keep the job as workers would receive it; later changes to the caller's dicts do not show in it.

        Raises:
            NotSent: `is_down` is set.
        """
        self._keep(job)

    def close(self) -> None:
        """Do nothing: there are no connections."""


class AsyncRecordingPublisher(_Recording):
    """The same for `AsyncRollbook`."""

    async def publish(self, job: Job) -> None:
        """Keep the job, as `RecordingPublisher.publish` does.

        Raises:
            NotSent: `is_down` is set.
        """
        self._keep(job)

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""


class RecordingRollbook(Rollbook):
    """A client that keeps its jobs. Reads raise `NotConfigured`: no workers have applied the jobs."""

    def __init__(self, *, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self._recording = RecordingPublisher()
        super().__init__(publisher=self._recording, limits=limits, clock=clock)

    @property
    def publisher(self) -> RecordingPublisher:
        """The publisher of this client; set its `is_down` to make writes fail."""
        return self._recording

    @property
    def sent(self) -> SentJobs:
        """The jobs that were sent, oldest first; `sent.clear()` drops them."""
        return self._recording.sent


class AsyncRecordingRollbook(AsyncRollbook):
    """An asynchronous client that keeps its jobs. Reads raise `NotConfigured`: no workers have applied the jobs."""

    def __init__(self, *, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self._recording = AsyncRecordingPublisher()
        super().__init__(publisher=self._recording, limits=limits, clock=clock)

    @property
    def publisher(self) -> AsyncRecordingPublisher:
        """The publisher of this client; set its `is_down` to make writes fail."""
        return self._recording

    @property
    def sent(self) -> SentJobs:
        """The jobs that were sent, oldest first; `sent.clear()` drops them."""
        return self._recording.sent


def recording(*, limits: Limits | None = None, clock: Clock | None = None) -> RecordingRollbook:
    """Create a client that keeps its jobs in `sent`.

    limits: what the client accepts, if the application changes it.
    clock: returns the time in microseconds since 1970, if a test needs a fixed one.
    """
    return RecordingRollbook(limits=limits, clock=clock)


def async_recording(*, limits: Limits | None = None, clock: Clock | None = None) -> AsyncRecordingRollbook:
    """Create an asynchronous client that keeps its jobs in `sent`; the arguments are those of `recording`."""
    return AsyncRecordingRollbook(limits=limits, clock=clock)


if _HAS_PYTEST:

    @pytest.fixture
    def rollbook_recording() -> RecordingRollbook:
        """A client of this test alone that keeps its jobs in `sent`."""
        return recording()

    @pytest.fixture
    def async_rollbook_recording() -> AsyncRecordingRollbook:
        """An asynchronous client of this test alone that keeps its jobs in `sent`."""
        return async_recording()
