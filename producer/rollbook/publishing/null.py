"""A publisher that sends nothing, for checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook_shared.jobs.models import Job


class DiscardingPublisher:
    """Discards each job: the client has checked it by then."""

    def publish(self, job: Job) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: there are no connections."""
