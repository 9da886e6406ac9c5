"""Outboxes in the databases of applications, and a Rollbook for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from tests.support.outbox.relays import MakeRelay

from rollbook import Rollbook
from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.relay.finished_jobs import FinishedJobs
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_ops.relay.relay import Relay


@pytest.fixture
def backend(backend_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(backend_url) as connection:
        yield connection


@pytest.fixture
def rb(database_url: str) -> Iterator[Rollbook]:
    """The client of a web process: it reads, and has no broker."""
    with Rollbook(database_url=database_url) as rb:
        yield rb


@pytest.fixture
def make_relay(backend_url: str, broker_url: str, database_url: str) -> Iterator[MakeRelay]:
    made: list[Relay] = []

    def make(
        *, resend: float = 60.0, keep: float = 0.0, broker: str = broker_url, database: str = database_url
    ) -> Relay:
        publisher, finished_jobs = DirectPublisher(broker), FinishedJobs(database)
        table, again, kept = OutboxTable(backend_url), timedelta(seconds=resend), timedelta(seconds=keep)
        made.append(Relay(table, publisher, finished_jobs, resend=again, keep=kept))
        return made[-1]

    yield make
    for relay in made:
        relay.close()
