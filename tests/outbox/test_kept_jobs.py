"""A finished job stays in the outbox for a while: a failover to a replica that is behind loses its outcome, and the
relay sends it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from tests.support.outbox.relays import MakeRelay

from rollbook import Rollbook
from rollbook_ops.relay.finished_jobs import Finished
from rollbook_ops.relay.job_key import JobKey
from rollbook_ops.relay.reconciliation import Reconciliation, SentRow, reconcile
from rollbook_ops.relay.relay import Relay
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore, ReceivedJob

KEY = JobKey("job", b"digest")
SEEN, UNSEEN = SentRow(is_finished=True), SentRow()


@pytest.mark.parametrize(
    ("job", "found", "expected"),
    [
        (UNSEEN, Finished(jobs=frozenset()), Reconciliation(unfinished=[KEY])),
        (UNSEEN, Finished(jobs=frozenset({KEY}), timeline=1), Reconciliation(keep={KEY: None})),
        (UNSEEN, Finished(jobs=frozenset(), dead=frozenset({KEY}), timeline=1), Reconciliation(keep={KEY: 1})),
        (SEEN, Finished(jobs=frozenset({KEY}), timeline=2), Reconciliation(remove=[KEY])),
        (SEEN, Finished(jobs=frozenset(), timeline=1), Reconciliation(lost=[KEY])),
        (
            SentRow(is_finished=True, dead_on=1),
            Finished(jobs=frozenset(), timeline=1),
            Reconciliation(remove=[KEY]),
        ),
        (SentRow(is_finished=True, dead_on=1), Finished(jobs=frozenset(), timeline=2), Reconciliation(lost=[KEY])),
        (SentRow(is_finished=True, dead_on=1), Finished(jobs=frozenset()), Reconciliation(lost=[KEY])),
    ],
    ids=[
        "not finished",
        "finished",
        "dead",
        "finished still",
        "gone",
        "its dead letter was dropped",
        "its dead letter is gone after a failover",
        "its dead letter is gone, and no one knows why",
    ],
)
def test_what_becomes_of_a_job_that_was_sent(job: SentRow, found: Finished, expected: Reconciliation) -> None:
    assert reconcile({KEY: job}, found, keeps=True) == expected


def test_without_a_time_to_keep_a_finished_job_is_removed_at_once() -> None:
    assert reconcile({KEY: UNSEEN}, Finished(jobs=frozenset({KEY})), keeps=False) == Reconciliation(remove=[KEY])


def test_a_job_is_kept_for_a_shorter_time_than_its_status() -> None:
    urls = {"broker_url": "redis://127.0.0.1:1/0", "database_url": "postgresql://unknown@127.0.0.1:1/none"}
    settings = Settings(**urls, outbox_keep=timedelta(days=30), job_retention=timedelta(days=2))  # type: ignore[arg-type]

    assert Relay.from_settings(settings)._keep == timedelta(days=1)


class Outbox:
    """An outbox whose jobs a worker applies as they are, without a broker."""

    def __init__(self, backend: psycopg.Connection, database_url: str) -> None:
        self._backend = backend
        self._store = PostgresStore(database_url)
        self.rollbook = psycopg.connect(database_url, autocommit=True)

    def write(self, version: int = 1) -> None:
        job = Rollbook().outbox(self._backend).users.identify("ann", {"plan": "pro"})
        if version != 1:
            body = json.dumps({"v": version, "kind": "identify", "id": job.id})
            self._backend.execute("UPDATE rollbook_outbox SET body = %s", (body,))
        self._backend.commit()

    def apply(self) -> None:
        bodies = self._backend.execute("SELECT body FROM rollbook_outbox").fetchall()
        self._backend.commit()
        self._store.apply([ReceivedJob.of(body) for (body,) in bodies])

    def look_again(self, relay: Relay) -> list[tuple[bool, bool]]:
        """Let the relay look at once; for each job whether it is sent, and whether it is finished."""
        self._backend.execute("UPDATE rollbook_outbox SET due_at = now()")
        self._backend.commit()
        relay.reconcile()
        found = self._backend.execute("SELECT sent_at IS NOT NULL, finished_at IS NOT NULL FROM rollbook_outbox")
        rows = found.fetchall()
        self._backend.commit()
        return rows

    def close(self) -> None:
        self._store.close()
        self.rollbook.close()


@pytest.fixture
def outbox(backend: psycopg.Connection, database_url: str) -> Iterator[Outbox]:
    outbox = Outbox(backend, database_url)
    yield outbox
    outbox.close()


def test_a_finished_job_is_looked_up_once_more_before_it_is_removed(outbox: Outbox, make_relay: MakeRelay) -> None:
    relay = make_relay(keep=60)
    outbox.write()
    relay.send()
    outbox.apply()

    assert outbox.look_again(relay) == [(True, True)]
    assert relay.reconcile() == 0, "not before the time is over"
    assert outbox.look_again(relay) == []


def test_a_job_whose_outcome_was_lost_is_sent_again(
    outbox: Outbox, make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(keep=60)
    outbox.write()
    relay.send()
    outbox.apply()
    outbox.look_again(relay)
    outbox.rollbook.execute("DELETE FROM rollbook.jobs")  # what a replica that is behind would lack

    with caplog.at_level(logging.WARNING):
        assert outbox.look_again(relay) == [(False, False)]

    assert "1 finished jobs are gone from Rollbook's database" in caplog.text
    assert relay.send() == 1
    outbox.apply()
    assert outbox.look_again(relay) == [(True, True)]
    assert outbox.look_again(relay) == []


def test_a_dead_letter_that_an_operator_drops_does_not_come_back(outbox: Outbox, make_relay: MakeRelay) -> None:
    relay = make_relay(keep=60)
    outbox.write(version=9)
    relay.send()
    outbox.apply()
    assert outbox.look_again(relay) == [(True, True)]

    outbox.rollbook.execute("DELETE FROM rollbook.dead_letters")

    assert outbox.look_again(relay) == []
