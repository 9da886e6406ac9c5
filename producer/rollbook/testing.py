"""For the tests of applications that use Rollbook: every check of the real thing, and no Redis.

    def test_sign_up_tells_rollbook(rollbook_recording):
        sign_up("ann@example.com", rollbook=rollbook_recording)

        (job,) = rollbook_recording.sent.of(Identify)
        assert job.user.traits["email"] == "ann@example.com"

The fixture `rollbook_recording` comes with the installed package; `recording()` is for other test runners. A call that
breaks a rule raises `InvalidRequest` as in production, and with `rollbook_recording.publisher.is_down = True` every
write
raises `NotSent`. The kinds of jobs are exported here, for `sent.of`.
"""

from __future__ import annotations

from typing import TypeVar

from rollbook.client import Rollbook
from rollbook.resources.context import Clock
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import (
    BulkDelete,
    BulkIdentify,
    BulkSetPreferences,
    Delete,
    Identify,
    Job,
    Mark,
    Merge,
    SetChannelData,
    SetPreferences,
    Trigger,
    UnsetChannelData,
    UnsetPreferences,
    UserUpdate,
)
from rollbook_shared.limits import Limits

try:
    import pytest
except ModuleNotFoundError:  # recording() is of use with any test runner
    _HAS_PYTEST = False
else:
    _HAS_PYTEST = True

__all__ = [
    "BulkDelete",
    "BulkIdentify",
    "BulkSetPreferences",
    "Delete",
    "Identify",
    "Mark",
    "Merge",
    "RecordingPublisher",
    "RecordingRollbook",
    "Sent",
    "SetChannelData",
    "SetPreferences",
    "Trigger",
    "UnsetChannelData",
    "UnsetPreferences",
    "UserUpdate",
    "recording",
]

J = TypeVar("J", bound=Job)


class Sent(list[Job]):
    """The jobs that were sent, oldest first."""

    def of(self, kind: type[J]) -> list[J]:
        """Those of one kind, such as `Identify`, oldest first."""
        return [job for job in self if isinstance(job, kind)]

    def about(self, user_id: str) -> list[Job]:
        """Those that name the user, in whatever part: told of, deleted, merged, recipient, actor. Marks name nobody."""
        return [job for job in self if user_id in job.user_ids]


class RecordingPublisher:
    """Keeps the jobs in `sent` instead of sending them."""

    def __init__(self) -> None:
        self.sent = Sent()
        self.is_down = False
        """Set it to have every job fail with `NotSent`, as when Redis is gone."""

    def publish(self, job: Job) -> None:
        """Keep the job as the workers would get it; what becomes of the caller's dicts later is no part of it.

        Raises:
            NotSent: `is_down` is set.
        """
        if self.is_down:
            raise NotSent(job.id)
        self.sent.append(decode(encode(job)))

    def close(self) -> None:
        """Nothing to let go of."""


class RecordingRollbook(Rollbook):
    """A Rollbook that keeps its jobs. Reading raises `NotConfigured`: no workers have applied them."""

    def __init__(self, *, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self._recording = RecordingPublisher()
        super().__init__(publisher=self._recording, limits=limits, clock=clock)

    @property
    def publisher(self) -> RecordingPublisher:
        """What keeps the jobs."""
        return self._recording

    @property
    def sent(self) -> Sent:
        """The jobs that were sent, oldest first; `sent.clear()` forgets them."""
        return self._recording.sent


def recording(*, limits: Limits | None = None, clock: Clock | None = None) -> RecordingRollbook:
    """Make a Rollbook that keeps its jobs in `sent`.

    limits: what is accepted, where the application raises or lowers it.
    clock: the time in microseconds since 1970, where a test needs a fixed one.
    """
    return RecordingRollbook(limits=limits, clock=clock)


if _HAS_PYTEST:

    @pytest.fixture
    def rollbook_recording() -> RecordingRollbook:
        """A Rollbook of the test's own that keeps its jobs in `sent`."""
        return recording()
