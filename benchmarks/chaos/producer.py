"""One application backend, as a process: `python -m benchmarks.chaos.producer METHOD OPERATIONS JOURNAL BEGIN`.

METHOD is `direct`, `outbox` or `http`; BEGIN is the start of the phase, in seconds since 1970. A job that fails is sent
again under its id until it is confirmed, as the client advises. The URLs of the servers are in the environment.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import psycopg
from benchmarks.chaos.http_producer import send_by_http
from benchmarks.chaos.operations import Journal, Method, Operation, read_operations

from rollbook import Rollbook
from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.demo.api_calls import send_job, user_mapping
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import Identify, Job

logger = logging.getLogger("producer")

_RETRY_SECONDS: Final = 0.2
_MAX_TRANSACTION_JOBS: Final = 5
"""The most jobs in a transaction."""
CONNECTION_ERRORS: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class _JournalingPublisher:
    """Publishes, and records confirmed jobs: for jobs that a buffer makes."""

    def __init__(self, publisher: DirectPublisher, journal: Journal) -> None:
        self._publisher = publisher
        self._journal = journal

    def publish(self, job: Job) -> None:
        self._publisher.publish(job)
        self._journal.confirmed(job)

    def close(self) -> None:
        self._publisher.close()


class _ManualClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        return self.time


def send_directly(operations: Iterator[Operation], journal: Journal, broker_url: str) -> None:
    """Send each job at its time, directly to the broker."""
    clock = _ManualClock()
    publisher = _JournalingPublisher(DirectPublisher(broker_url), journal)
    with (
        Rollbook(publisher=publisher, clock=clock) as rollbook,
        rollbook.buffered(max_users=20, max_seconds=0.3) as buffered,
    ):
        for operation in operations:
            clock.time = operation.job.occurred_at
            match operation.method:
                case Method.BUFFERED:
                    _retry(partial(_identify, buffered, operation.job))
                case method:
                    stamped = method is Method.TIMESTAMPED
                    _retry(partial(send_job, rollbook, operation.job, stamped=stamped))
        _retry(buffered.flush)


def write_to_outbox(operations: Iterator[Operation], journal: Journal, database_url: str) -> None:
    """Write each job at its time into the outbox, a few in a transaction; roll some transactions back."""
    rng = random.Random(0)
    application = _Application(database_url)
    while batch := list(islice(operations, rng.randint(1, _MAX_TRANSACTION_JOBS))):
        rolled_back = [operation.job for operation in batch if operation.method is Method.ROLLED_BACK]
        kept = [operation.job for operation in batch if operation.method is not Method.ROLLED_BACK]
        _retry(partial(application.write, rolled_back, roll_back=True))
        _retry(partial(application.write, kept))
        for job in kept:
            journal.confirmed(job)
    application.close()


class _Application:
    """An application with an outbox."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._rollbook = Rollbook()
        self._connection: psycopg.Connection | None = None

    def write(self, jobs: Sequence[Job], *, roll_back: bool = False) -> None:
        """Write the jobs in one transaction. After an error it may have been committed; writing again is safe."""
        if not jobs:
            return
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        try:
            with self._connection.transaction():
                for job in jobs:
                    send_job(self._rollbook.outbox(self._connection), job)
                if roll_back:
                    raise psycopg.Rollback
        except psycopg.Rollback:
            self.close()  # the connection was lost before the rollback was sent, which rolls back as well
        except CONNECTION_ERRORS:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; writing opens another."""
        if self._connection is not None:
            self._connection.close()


def _identify(rollbook: Rollbook, job: Job) -> None:
    assert isinstance(job, Identify)
    traits = user_mapping(job.user)
    rollbook.users.identify(traits.pop("id"), traits)


def _retry(send: Callable[[], object]) -> None:
    while True:
        try:
            send()
            return
        except (Unavailable, *CONNECTION_ERRORS) as error:
            logger.info("%s: %s", type(error).__name__, error)
            time.sleep(_RETRY_SECONDS)


def _wait_for_each(operations: Iterator[Operation], begin: float) -> Iterator[Operation]:
    for operation in operations:
        time.sleep(max(0.0, begin + operation.at - time.time()))
        yield operation


def main() -> None:
    """Run the producer that the command line describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    method, operations, journal, begin = sys.argv[1:]
    due = _wait_for_each(read_operations(Path(operations)), float(begin))
    confirmed = Journal(Path(journal))
    match method:
        case "outbox":
            write_to_outbox(due, confirmed, os.environ["ROLLBOOK_OUTBOX_URL"])
        case "http":
            send_by_http(due, confirmed, os.environ["ROLLBOOK_SERVER_URL"])
        case _:
            send_directly(due, confirmed, os.environ["ROLLBOOK_BROKER_URL"])
    confirmed.close()


if __name__ == "__main__":
    main()
