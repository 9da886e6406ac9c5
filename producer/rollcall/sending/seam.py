"""The seam between making jobs and getting them out of the process."""

from __future__ import annotations

from typing import Protocol

from rollcall_shared.jobs import Job


class Sender(Protocol):
    """Takes jobs towards the workers. Safe to use from many threads, and in children forked later."""

    def send(self, job: Job) -> None:
        """Hand the job over. When this returns, the job is where the sender promises to keep it.

        Raises:
            NotSent: the job may not have arrived; sending it again under its id is safe.
        """

    def close(self) -> None:
        """Let go of connections. Sending again opens them again."""
