"""What is retried, and when. Nothing else decides it.

| what went wrong | whose fault | what is done |
| --- | --- | --- |
| a deadlock, a serialization failure | another transaction's | the transaction is run again, a few milliseconds later |
| a statement took too long, and Postgres ended it (`StatementTimeout`) | the infrastructure's; the job's, if it happens
  each time that the job is tried by itself | the job is tried again after a backoff, by itself and
  ROLLBOOK_MAX_DELIVERIES times at most; then it becomes a dead letter, `too_slow` |
| another transaction holds a lock for too long, or others are in the way again and again (`Blocked`) | the
  infrastructure's | the job is tried again after a backoff, without a bound |
| anything else that Postgres reports, or no response: it is away, stopped, silent, full, read-only, or not migrated |
  the infrastructure's | `Unavailable`: likewise |
| Postgres cannot hold the value; one user would have too much (`UserTooLarge`); a mistake in the code | the job's | the
  batch is halved until the job is alone; it becomes a dead letter |

Only a response from Postgres counts as a failed attempt of a job, so an outage, however long, never makes dead letters.
A disk so slow that statements time out could, if it accepted dead letters meanwhile; replaying them loses nothing. An
invalid job never gets here: it becomes a dead letter when it is decoded. Jobs that end their workers are counted by the
transport.
"""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import Final

import psycopg
from psycopg import errors

from rollbook_shared.backoff import Backoff
from rollbook_shared.database.failover import READ_ONLY_ERRORS
from rollbook_shared.errors import Unavailable
from rollbook_shared.job_states import DeadLetterCode
from rollbook_shared.reasons import safe_reason
from rollbook_worker.store.user_sizes import UserTooLarge

RETRY: Final = Backoff(first=0.5, longest=60.0)
"""Before a job, or a periodic task, is tried again."""
ATTEMPTS: Final = 20
"""Of one transaction. Deadlocks come singly: 1 to 14 in 1,500 batches under the heaviest contention measured."""
_BETWEEN_ATTEMPTS_SECONDS: Final = 0.05


class Fault(Enum):
    """Whose fault a failure is."""

    ANOTHER_TRANSACTION = auto()
    INFRASTRUCTURE = auto()
    JOB = auto()


class Blocked(Unavailable):
    """The database is there, but something was in the way of this work; other work may succeed."""


class StatementTimeout(Blocked):
    """The database ended a statement that took too long."""


class Contention(Enum):
    """How other transactions were in the way of one."""

    DEADLOCK = "deadlock"
    CLUSTER = "cluster"
    """A user turned out to belong to an identity cluster that was not locked."""
    TIMEOUT = "timeout"
    """They held a lock for too long."""


_OF_ANOTHER_TRANSACTION: Final = (errors.DeadlockDetected, errors.SerializationFailure)
_UNSTORABLE: Final = (psycopg.DataError, errors.ProgramLimitExceeded)


def fault_of(error: BaseException) -> Fault:
    """Whose fault it is that a transaction failed."""
    if isinstance(error, _OF_ANOTHER_TRANSACTION):
        return Fault.ANOTHER_TRANSACTION
    if isinstance(error, psycopg.Error) and not isinstance(error, _UNSTORABLE):
        return Fault.INFRASTRUCTURE
    return Fault.JOB


def dead_letter_reason(error: BaseException) -> tuple[DeadLetterCode, str]:
    """The code and the reason of a job that cannot be applied, through its own fault."""
    # the class of the error only: its text may quote the value
    name = type(error).__name__
    if isinstance(error, UserTooLarge):
        return DeadLetterCode.TOO_LARGE, str(error)
    if isinstance(error, _UNSTORABLE):
        return DeadLetterCode.UNSTORABLE, f"Postgres cannot hold it ({name})"
    return DeadLetterCode.FAILED, f"applying it failed ({name})"


def is_lock_timeout(error: BaseException) -> bool:
    """Whether another transaction holds a lock for too long."""
    return isinstance(error, errors.LockNotAvailable)


def is_duplicate(error: BaseException) -> bool:
    """Whether a row with the same key is there already."""
    return isinstance(error, errors.UniqueViolation)


def unavailable(error: BaseException) -> Unavailable:
    """What to raise for a failure of the infrastructure; its text quotes no value that the server named."""
    match error:
        case errors.LockNotAvailable():
            return Blocked("another transaction holds a lock for too long")
        case error if isinstance(error, READ_ONLY_ERRORS):
            return Unavailable("this Postgres is read-only, as a replica is")
        case errors.QueryCanceled():
            return StatementTimeout("the database took too long over a statement")
        case _:
            return Unavailable(f"the database is not available ({safe_reason(error)})")


def is_outage(error: BaseException) -> bool:
    """Whether the database is not there, so that other work would fail as well."""
    return isinstance(error, Unavailable) and not isinstance(error, Blocked)


def attempts_exhausted(times: int, most: int) -> bool:
    """Whether a job whose statements took too long this many times becomes a dead letter; `most` 0: never."""
    return 0 < most <= times


def pause_between_attempts(attempt: int) -> float:
    """Seconds until a transaction that met another one is run again."""
    return random.uniform(0, _BETWEEN_ATTEMPTS_SECONDS * (attempt + 1))
