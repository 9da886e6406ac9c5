"""What the relay does with each row in its two steps: it sends, and reconciles with the finished jobs."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.outbox.relays import MakeRelay
from tests.support.waits import DEADLINE_SECONDS

from rollbook import NotConfigured, Rollbook, Unavailable
from rollbook_ops.relay import outbox_table
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_ops.relay.relay import Relay, RelayLoop
from rollbook_shared.jobs.celery_task import alias
from rollbook_worker.store import PostgresStore, ReceivedJob


class Broker:
    """The jobs in Redis, and a worker that applies them on request."""

    def __init__(self, broker_url: str, database_url: str) -> None:
        self.redis = connect_to_broker(broker_url)
        self.redis.flushdb()
        self._store = PostgresStore(database_url)

    def messages(self, queue: str = "default") -> list[dict[str, Any]]:
        return [json.loads(item) for item in reversed(cast("list[bytes]", self.redis.lrange(queue, 0, -1)))]

    def ids(self) -> list[str]:
        return [message["headers"]["id"] for message in self.messages()]

    def lose(self) -> None:
        self.redis.flushdb()

    def apply_all(self) -> None:
        self.apply([json.loads(message["body"])[0][0] for message in self.messages()])
        self.redis.flushdb()

    def apply(self, bodies: Sequence[str]) -> None:
        self._store.apply([ReceivedJob.of(body) for body in bodies], now=time.time_ns() // 1_000)

    def close(self) -> None:
        self._store.close()
        self.redis.close()


@pytest.fixture
def broker(broker_url: str, database_url: str) -> Iterator[Broker]:
    broker = Broker(broker_url, database_url)
    yield broker
    broker.close()


def pass_time(backend: psycopg.Connection, seconds: float) -> None:
    """Move all times in the outbox into the past."""
    for column in ("created_at", "due_at", "sent_at"):
        backend.execute(f"UPDATE rollbook_outbox SET {column} = {column} - make_interval(secs => %s)", [seconds])
    backend.commit()


def waiting(backend: psycopg.Connection) -> int:
    (count,) = backend.execute("SELECT count(*) FROM rollbook_outbox").fetchone() or (0,)
    backend.commit()
    return int(count)


def identify(rb: Rollbook, backend: psycopg.Connection, *user_ids: str, **options: Any) -> list[str]:
    jobs = [rb.outbox(backend).users.identify(user_id, {"plan": "pro"}, **options).id for user_id in user_ids]
    backend.commit()
    return jobs


def test_a_committed_job_is_sent_like_a_direct_one(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    (job_id,) = identify(rb, backend, "u1")

    assert make_relay().send() == 1

    (message,) = broker.messages()
    assert message["headers"]["task"] == "rollbook.identify"
    assert message["headers"]["id"] == message["properties"]["correlation_id"] == job_id
    assert message["headers"]["argsrepr"] == f"{alias('u1')} {{plan}}"


def test_an_uncommitted_job_is_not_sent(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    rb.outbox(backend).users.identify("u1")

    assert make_relay().send() == 0

    assert broker.ids() == []


def test_a_row_is_kept_until_the_job_is_applied(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay()
    ids = identify(rb, backend, "u1", "u2", "u3")

    assert (relay.send(), relay.send()) == (3, 0)
    pass_time(backend, 5)
    relay.reconcile()
    assert (waiting(backend), broker.ids()) == (3, ids)

    broker.apply_all()
    pass_time(backend, 5)
    relay.reconcile()
    assert waiting(backend) == 0


def test_a_lost_job_is_sent_again_after_the_resend_time(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay(resend=60)
    ids = identify(rb, backend, "u1")
    relay.send()
    broker.lose()

    pass_time(backend, 50)
    relay.reconcile()
    assert relay.send() == 0

    pass_time(backend, 11)
    relay.reconcile()
    assert relay.send() == 1
    assert broker.ids() == ids


def test_each_attempt_doubles_the_resend_time(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay(resend=60)
    identify(rb, backend, "u1")
    waits = []
    for _ in range(9):
        relay.send()
        waited = 0
        while relay.reconcile() == 0 or relay.send() == 0:
            pass_time(backend, 60)
            waited += 60
        waits.append(waited)

    assert waits[:6] == [60, 120, 240, 480, 960, 1920]
    assert waits[-1] == 64 * 60


def test_a_finished_job_is_not_sent_again(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay()
    identify(rb, backend, "u1")
    relay.send()
    broker.apply_all()

    pass_time(backend, 86_400)
    relay.reconcile()
    relay.send()

    assert (waiting(backend), broker.ids()) == (0, [])


@pytest.mark.parametrize("body", ["not JSON", '{"v": 99, "id": "odd", "kind": "identify"}'])
def test_an_unknown_job_becomes_a_dead_letter(
    backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker, body: str
) -> None:
    relay = make_relay()
    backend.execute("INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES ('odd', 'x', 'identify', %s)", [body])
    backend.commit()

    relay.send()
    assert broker.messages()[0]["headers"]["argsrepr"] == "(not a job known here)"
    broker.apply_all()
    pass_time(backend, 5)
    relay.reconcile()

    # A dead letter without an id of its own cannot be matched with the row.
    assert waiting(backend) == (1 if body == "not JSON" else 0)


def test_a_second_job_under_an_id_is_kept_until_it_is_a_dead_letter(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay()
    identify(rb, backend, "u1", job_id="twice")
    relay.send()
    broker.apply_all()
    rb.outbox(backend).users.identify("u1", {"plan": "other"}, job_id="twice")
    backend.commit()

    relay.send()
    pass_time(backend, 5)
    relay.reconcile()
    assert waiting(backend) == 1

    broker.apply_all()
    pass_time(backend, 5)
    relay.reconcile()
    assert waiting(backend) == 0


@pytest.mark.parametrize(
    "earlier", ['{"v": 99, "id": "new", "kind": "identify"}', '{"v": 1, "id": "bad", "kind": "identify", "user": 7}']
)
def test_a_dead_letter_of_another_job_finishes_nothing(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker, earlier: str
) -> None:
    broker.apply([earlier])
    relay = make_relay(resend=60)
    identify(rb, backend, "u1", job_id=json.loads(earlier)["id"])
    relay.send()
    broker.lose()

    pass_time(backend, 61)
    relay.reconcile()
    assert (waiting(backend), relay.send()) == (1, 1)

    broker.apply_all()
    pass_time(backend, 5)
    relay.reconcile()
    assert waiting(backend) == 0
    assert rb.users.get("u1").properties == {"plan": "pro"}


def test_a_role_without_rights_is_reported(
    backend: psycopg.Connection, backend_url: str, broker_url: str, database_url: str
) -> None:
    backend.execute("DROP ROLE IF EXISTS stranger")
    backend.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    backend.commit()
    parts = urlsplit(backend_url)
    url = parts._replace(netloc=f"stranger:stranger@{parts.hostname}:{parts.port}").geturl()

    with pytest.raises(NotConfigured, match="role"), OutboxTable(url).transaction() as outbox:
        outbox.claim_unsent()

    backend.execute("DROP ROLE stranger")
    backend.commit()


def test_a_deferred_job_leaves_the_outbox_once_it_is_stored(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    ahead = Rollbook(clock=lambda: time.time_ns() // 1_000 + 3_600_000_000)
    ahead.outbox(backend).users.identify("later")
    backend.commit()
    relay = make_relay()

    relay.send()
    broker.apply_all()
    pass_time(backend, 5)
    relay.reconcile()

    assert waiting(backend) == 0


def test_two_relays_do_not_send_the_same_job(
    rb: Rollbook, backend: psycopg.Connection, backend_url: str, make_relay: MakeRelay, broker: Broker
) -> None:
    ids = identify(rb, backend, *(f"u{number}" for number in range(50)))
    other = make_relay()

    with outbox_table.OutboxTable(backend_url).transaction() as outbox:
        held = outbox.claim_unsent(limit=20)
        assert other.send() == 30

    assert sorted(broker.ids()) == sorted(set(ids) - {key.id for key in held})


def test_a_crash_between_publishing_and_commit_sends_again(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_id,) = identify(rb, backend, "u1")
    relay = make_relay()

    def crash(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(outbox_table.OutboxTransaction, "mark_sent", crash)
        with pytest.raises(KeyboardInterrupt):
            relay.send()

    relay.send()
    assert broker.ids() == [job_id, job_id]


def test_large_jobs_are_claimed_in_portions(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_table, "BATCH_BYTES", 1_000)
    for number in range(4):
        rb.outbox(backend).users.identify(f"u{number}", {"text": "x" * 600})
    backend.commit()
    relay = make_relay()

    assert [relay.send() for _ in range(3)] == [2, 2, 0]


def test_jobs_stay_unsent_without_redis(rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay) -> None:
    identify(rb, backend, "u1")

    with pytest.raises(Unavailable, match="broker"):
        make_relay(broker="redis://127.0.0.1:1/0").send()

    assert backend.execute("SELECT sent_at, attempts FROM rollbook_outbox").fetchone() == (None, 0)


def test_jobs_are_sent_without_rollbooks_database(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, broker: Broker
) -> None:
    relay = make_relay(database="postgresql://unknown@127.0.0.1:1/none")
    ids = identify(rb, backend, "u1")

    relay.send()
    pass_time(backend, 5)
    with pytest.raises(Unavailable):
        relay.reconcile()

    assert (broker.ids(), waiting(backend)) == (ids, 1)


def test_the_loop_logs_each_problem_once(
    rb: Rollbook, backend: psycopg.Connection, make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    relay = make_relay()
    stopped, sent = threading.Event(), threading.Event()
    failures = 3

    class Fails(Relay):
        def send(self) -> int:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise Unavailable("the broker is away")
            sent.set()
            return relay.send()

        def reconcile(self) -> int:
            return 0

        def report(self) -> None: ...

        def __init__(self) -> None: ...

    identify(rb, backend, "ann@example.com")
    loop = threading.Thread(target=RelayLoop(Fails()).run, args=(stopped,))
    loop.start()
    assert sent.wait(DEADLINE_SECONDS)
    stopped.set()
    loop.join(DEADLINE_SECONDS)

    messages = [record.getMessage() for record in caplog.records if record.name == "rollbook_ops.relay.relay"]
    assert messages == ["relay: send: the broker is away; trying again", "relay: send works again"]
