"""One backend, a process of its own: `python -m benchmarks.chaos.producer WAY SENDINGS JOURNAL BEGIN`.

WAY is `direct` or `outbox`; BEGIN is when the act begins, in seconds since 1970. What fails is sent again under its
id, as the face tells its callers to, until it is confirmed. Finds its servers in the environment, as applications do.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import psycopg
from benchmarks.chaos.sendings import Journal, Sending, Way, read_sendings

from rollbook import Rollbook
from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.demo.api_calls import send_job, user_mapping
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.models import Identify, Job

logger = logging.getLogger("producer")

_PAUSE_SECONDS: Final = 0.2
_TOGETHER: Final = 5
"""Jobs in a transaction, at most."""
BROKEN: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class _Journalling:
    """Sends, and notes what was confirmed: for jobs that a buffer makes."""

    def __init__(self, publisher: DirectPublisher, journal: Journal) -> None:
        self._publisher = publisher
        self._journal = journal

    def publish(self, job: Job) -> None:
        self._publisher.publish(job)
        self._journal.confirmed(job)

    def close(self) -> None:
        self._publisher.close()


class _Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self) -> int:
        return self.reads


def send_directly(sendings: Iterator[Sending], journal: Journal, broker_url: str) -> None:
    """Send each at its time, straight to the broker."""
    watch = _Watch()
    publisher = _Journalling(DirectPublisher(broker_url), journal)
    with (
        Rollbook(publisher=publisher, clock=watch) as rollbook,
        rollbook.buffered(max_users=20, max_seconds=0.3) as buffered,
    ):
        for sending in sendings:
            watch.reads = sending.job.occurred_at
            match sending.way:
                case Way.GATHERED:
                    _until_sent(lambda job=sending.job: _tell(buffered, job))  # type: ignore[misc]
                case way:
                    _until_sent(lambda job=sending.job, way=way: send_job(rollbook, job, stamped=way is Way.STAMPED))  # type: ignore[misc]
        _until_sent(buffered.flush)


def write_to_outbox(sendings: Iterator[Sending], journal: Journal, database_url: str) -> None:
    """Write each at its time into the outbox, a few a transaction; some transactions are rolled back."""
    chance = random.Random(0)
    application = _Application(database_url)
    while together := list(islice(sendings, chance.randint(1, _TOGETHER))):
        withdrawn = [sending.job for sending in together if sending.way is Way.WITHDRAWN]
        kept = [sending.job for sending in together if sending.way is not Way.WITHDRAWN]
        _until_sent(lambda jobs=withdrawn: application.write(jobs, roll_back=True))  # type: ignore[misc]
        _until_sent(lambda jobs=kept: application.write(jobs))  # type: ignore[misc]
        for job in kept:
            journal.confirmed(job)
    application.close()


class _Application:
    """What an application with an outbox does."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._rollbook = Rollbook()
        self._connection: psycopg.Connection | None = None

    def write(self, jobs: Sequence[Job], *, roll_back: bool = False) -> None:
        """Write the jobs in one transaction. After an error it is not known whether it was committed; writing again
        is safe.
        """
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
            self.close()  # the connection was lost before it could be said: that rolls back as well
        except BROKEN:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; writing opens another."""
        if self._connection is not None:
            self._connection.close()


def _tell(rollbook: Rollbook, job: Job) -> None:
    assert isinstance(job, Identify)
    told = user_mapping(job.user)
    rollbook.users.identify(told.pop("id"), told)


def _until_sent(send: Callable[[], object]) -> None:
    while True:
        try:
            send()
            return
        except (Unavailable, *BROKEN) as error:
            logger.info("%s: %s", type(error).__name__, error)
            time.sleep(_PAUSE_SECONDS)


def _at_their_times(sendings: Iterator[Sending], begin: float) -> Iterator[Sending]:
    for sending in sendings:
        time.sleep(max(0.0, begin + sending.at - time.time()))
        yield sending


def main() -> None:
    """Do what the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    way, sendings, journal, begin = sys.argv[1:]
    due = _at_their_times(read_sendings(Path(sendings)), float(begin))
    confirmed = Journal(Path(journal))
    if way == "outbox":
        write_to_outbox(due, confirmed, os.environ["ROLLBOOK_OUTBOX_URL"])
    else:
        send_directly(due, confirmed, os.environ["ROLLBOOK_BROKER_URL"])
    confirmed.close()


if __name__ == "__main__":
    main()
