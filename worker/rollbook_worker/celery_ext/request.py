"""What a worker shows of its jobs: while they are in its hands (`celery inspect active`, Flower's page of a worker),
and when one could not be applied.
"""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request as StockRequest


class DeadLetter(Exception):
    """How the task of a job ends that became a dead letter: as a failure, so that Flower shows it in red and counts it.

    Says the letter's code and nothing of the job.
    """


class Request(StockRequest):  # type: ignore[misc]  # Celery ships no types
    """A job in hand. Shows the summary that came with it, never the job."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """See Celery, which shows all arguments unless it is asked not to."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown
