"""What becomes of a job: its states, and the codes of dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """The state of a job. It is *finished* in each state but the first two."""

    QUEUED = "queued"
    """No worker has applied it yet. A job id that was never used looks the same."""
    DEFERRED = "deferred"
    """It is stored in Postgres and takes effect at a later time."""
    APPLIED = "applied"
    """It has taken effect."""
    DUPLICATE = "duplicate"
    """It was finished before, and this delivery changed nothing. Only a delivery has this state, never a job."""
    REJECTED = "rejected"
    """Every item of it is invalid."""
    DEAD = "dead"
    """It could not be applied, and is kept as a dead letter."""
    CANCELLED = "cancelled"
    """It was deferred, and was cancelled before it was due."""

    @property
    def is_final(self) -> bool:
        """Whether the job is finished, so that waiting longer changes nothing."""
        return self not in (JobState.QUEUED, JobState.DEFERRED)


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingJob:
    """The job that a job id belongs to: the first one that was received under it."""

    kind: str
    """Its kind: `identify`, `trigger` and so on."""
    state: JobState
    """What became of it: never `queued`, `duplicate` or `dead`."""


class DeadLetterCode(StrEnum):
    """Why a job is a dead letter, for programs. Each code has a `meaning` and an `advice` for people."""

    meaning: str
    advice: str

    def __new__(cls, code: str, meaning: str, advice: str) -> DeadLetterCode:
        """Make a member; the docs and the runbook show `meaning` and `advice`."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.advice = advice
        return member

    MALFORMED = (
        "malformed",
        "The message is not a job: it is not JSON text, not an object, or too large.",
        "Fix what published it; replay the job with a corrected body.",
    )
    UNKNOWN_VERSION = (
        "unknown_version",
        "The job has a version that this worker does not know, or none.",
        "Upgrade the workers and replay. A job without a version was not published by Rollbook: fix what published it.",
    )
    UNKNOWN_KIND = (
        "unknown_kind",
        "The job is of a kind that this worker does not know.",
        "Upgrade the workers and replay.",
    )
    INVALID = (
        "invalid",
        "A field of the job breaks a rule; the reason names the field.",
        "Fix what published it; replay the job with a corrected body.",
    )
    ID_REUSED = (
        "id_reused",
        "Another job was sent under this id before; the first one stands.",
        "If both jobs were meant, replay this one under an id of its own.",
    )
    UNSTORABLE = (
        "unstorable",
        "Postgres cannot store a value of the job, although it passed validation.",
        "Report it with its code and reason; replay after the fix.",
    )
    TOO_LARGE = (
        "too_large",
        "With the job, more would be kept of one user than `ROLLBOOK_MAX_USER_BYTES`; the reason has both numbers.",
        "Find out what keeps adding to the user; set the keys that it does not need to null, or raise the setting; "
        "then replay the job.",
    )
    FAILED = (
        "failed",
        "Applying the job raised an unexpected exception; the reason names its class.",
        "Report it with its code and reason; replay after the fix.",
    )
    TOO_SLOW = (
        "too_slow",
        "Each time the job was tried by itself, a statement took longer than `ROLLBOOK_STATEMENT_TIMEOUT_SECONDS`.",
        "Find out why (a trigger on a table, a missing index, a huge identity cluster); replay after the fix.",
    )
    UNEXPECTED_ERROR = (
        "unexpected_error",
        "The worker failed on the message outside of the job itself; its log says how.",
        "Report what the log says, without the job; replay after the fix.",
    )
    KILLS_WORKER = (
        "kills_worker",
        "The job was delivered `ROLLBOOK_MAX_DELIVERIES` times and no worker finished it: it may kill its worker.",
        "Look at the workers' log and memory; replay after the fix.",
    )
