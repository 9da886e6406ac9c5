"""How a job's task fails without a fault of ours: the job itself could not be applied."""

from __future__ import annotations

from rollbook_shared.job_states import StandingJob


class JobFailed(Exception):
    """Ends the task of a job that has not taken effect, and never will as it stands: as a failure, so that Flower shows
    it in red and counts it. Its message is acknowledged.

    Contains nothing of the job but its id.
    """

    def __init__(self, reason: str, *, job_id: str = "") -> None:
        super().__init__(reason)
        self.job_id = job_id


class JobRejected(JobFailed):
    """Every item of the job is invalid."""


class DeadLettered(JobFailed):
    """The job is stored as a dead letter. Its first argument is the dead letter's code, `key` says which one it is if
    several have this id, and `standing` is the other job that the id belongs to.
    """

    def __init__(self, code: str, *, job_id: str = "", key: str = "", standing: StandingJob | None = None) -> None:
        super().__init__(code, job_id=job_id)
        self.key = key
        self.standing = standing
