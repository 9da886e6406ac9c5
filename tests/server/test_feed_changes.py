"""Workers publish whose feeds may have changed, and no failure to do so reaches a job."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from tests.support.databases import with_database
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack.endpoint import free_port
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.errors import Unavailable
from rollbook_shared.feed_changes import CHANNEL, UNKNOWN, decode_changes, encode_changes, hash_user
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, Job, Mark, Merge, Trigger, UserUpdate
from rollbook_worker.feed_changes import FeedNotifier
from rollbook_worker.pubsub_channel import ANSWER_SECONDS, PubSubChannel
from rollbook_worker.store import PostgresStore, ReceivedJob


class Listening:
    """A subscriber."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(parse_broker_url(url)[0].pubsub_channel(CHANNEL))
        self._pubsub.get_message(timeout=DEADLINE_SECONDS)

    def next(self) -> bytes:
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            if message := self._pubsub.get_message(timeout=1):
                return bytes(message["data"])
        raise AssertionError("no change was published")

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def listening(broker_url: str) -> Iterator[Listening]:
    listening = Listening(broker_url)
    yield listening
    listening.close()


def trigger(*recipients: str | UserUpdate, **fields: Any) -> Trigger:
    now = time.time_ns() // 1_000
    return Trigger(**{"id": uuid4().hex, "occurred_at": now, "workflow": "comment", "recipients": recipients, **fields})


def no_recipients(message_ids: object) -> tuple[str, ...]:
    return ()


def test_a_payload_holds_hashes_and_no_id() -> None:
    payload = encode_changes(["ann", "bo"])

    assert decode_changes(payload) == (hash_user("ann"), hash_user("bo"))
    assert b"ann" not in payload
    assert decode_changes(UNKNOWN) is None
    assert decode_changes(b"") == ()


def test_all_users_that_a_job_names_are_notified(broker_url: str, listening: Listening) -> None:
    notifier = FeedNotifier(broker_url, no_recipients)
    merge = Merge(id="m", occurred_at=1, primary_id="ann", secondary_id="guest")

    notifier.notify([trigger("bo", UserUpdate(id="cy")), merge])

    changes = decode_changes(listening.next())
    assert changes is not None
    assert set(changes) == set(map(hash_user, ("ann", "guest", "bo", "cy")))
    notifier.close()


def test_listeners_on_another_database_of_the_redis_are_not_notified(broker_url: str, listening: Listening) -> None:
    elsewhere = FeedNotifier(with_database(broker_url, "0"), no_recipients)
    here = FeedNotifier(broker_url, no_recipients)

    elsewhere.notify([trigger("ann")])
    here.notify([trigger("bo")])

    assert decode_changes(listening.next()) == (hash_user("bo"),)
    elsewhere.close()
    here.close()


def test_recipients_of_marked_messages_are_looked_up_only_while_a_server_listens(broker_url: str) -> None:
    asked: list[object] = []

    def find(message_ids: object) -> tuple[str, ...]:
        asked.append(message_ids)
        return ("ann",)

    notifier = FeedNotifier(broker_url, find, clock=lambda: 0)
    mark = Mark(id="m", occurred_at=1, message_ids=(uuid4(),), engagement="read")

    notifier._listeners, notifier._counted_at = 0, 0
    notifier.notify([mark])
    assert asked == []

    notifier._counted_at = None
    listening = Listening(broker_url)
    notifier.notify([mark])
    assert len(asked) == 1
    payloads = [listening.next(), listening.next()]
    assert payloads == [b"", hash_user("ann")]
    listening.close()
    notifier.close()


def test_a_redis_that_is_away_fails_no_job_and_what_was_missed_is_made_up_for(
    database_url: str, broker_url: str, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    store = PostgresStore(database_url, on_committed=lambda jobs: notifier.notify(jobs))
    away = f"redis://127.0.0.1:{free_port()}/0"
    notifier = FeedNotifier(f"{away};{broker_url}", no_recipients, clock=lambda: now[0])

    for _ in range(3):
        (outcome,) = store.apply([ReceivedJob.of(encode(trigger("ann")))])
        assert outcome.state == "applied"
    assert len([record for record in caplog.records if "cannot be published" in record.getMessage()]) == 1

    now[0] = 60
    store.apply([ReceivedJob.of(encode(trigger("ann")))])
    assert listening.next() == UNKNOWN
    store.apply([ReceivedJob.of(encode(trigger("ann")))])
    assert listening.next() == hash_user("ann")
    notifier.close()
    store.close()


def test_no_job_waits_for_the_answer_of_redis(
    broker_url: str, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = FeedNotifier(broker_url, no_recipients)
    read: list[int | None] = []
    read_answer = PubSubChannel.read_answer

    def note(channel: PubSubChannel) -> int | None:
        read.append(read_answer(channel))
        return read[-1]

    monkeypatch.setattr(PubSubChannel, "read_answer", note)
    notifier.notify([trigger("ann")])
    assert read == []

    notifier.notify([trigger("ann")])
    assert len(read) == 1
    assert [listening.next(), listening.next()] == [hash_user("ann")] * 2
    notifier.close()


def test_a_payload_without_an_answer_is_made_up_for_by_the_next_job_at_once(
    broker_url: str, listening: Listening
) -> None:
    notifier = FeedNotifier(broker_url, no_recipients, clock=lambda: 0)
    notifier.notify([trigger("ann")])
    listening.next()
    notifier._channel._connection._sock.close()

    notifier.notify([trigger("ann")])

    assert listening.next() == UNKNOWN
    notifier.close()


def test_a_mark_reaches_a_server_that_the_job_just_before_it_has_found(broker_url: str) -> None:
    notifier = FeedNotifier(broker_url, lambda message_ids: ("bo",), clock=lambda: 0)
    notifier._listeners, notifier._counted_at = 0, 0
    listening = Listening(broker_url)

    notifier.notify([trigger("ann")])
    notifier.notify([Mark(id="m", occurred_at=1, message_ids=(uuid4(),), engagement="read")])

    assert [listening.next(), listening.next()] == [UNKNOWN, hash_user("bo")]
    listening.close()
    notifier.close()


def test_who_begins_to_listen_reads_all_feeds(broker_url: str) -> None:
    notifier = FeedNotifier(broker_url, no_recipients)
    notifier.notify([trigger("ann")])
    notifier._read_answer()
    notifier._listeners = 0  # other tests may listen
    listening = Listening(broker_url)

    notifier.notify([trigger("ann")])
    notifier.notify([trigger("ann")])

    assert [listening.next(), listening.next()] == [UNKNOWN, hash_user("ann")]
    listening.close()
    notifier.close()


def test_a_database_that_is_away_fails_no_mark(broker_url: str, listening: Listening) -> None:
    def fail(message_ids: object) -> tuple[str, ...]:
        raise Unavailable("away")

    notifier = FeedNotifier(broker_url, fail)
    notifier.notify([Mark(id="m", occurred_at=1, message_ids=(uuid4(),), engagement="read")])

    assert listening.next() == b""
    assert listening.next() == UNKNOWN
    notifier.close()


def test_a_deferred_job_is_published_when_it_takes_effect(database_url: str) -> None:
    changes: list[Job] = []
    postgres = PostgresStore(database_url, on_committed=changes.extend)
    due = time.time_ns() // 1_000 + 3_600_000_000
    job = trigger("ann", occurred_at=due, deferred=True)
    postgres.apply([ReceivedJob.of(encode(job))])
    changes.clear()

    assert postgres.dispatcher.release_due(now=due + 1) == 1

    assert [each.id for each in changes] == [job.id]
    postgres.close()


def test_recipients_of_messages_are_found(database_url: str) -> None:
    postgres = PostgresStore(database_url)
    identify = Identify(id=uuid4().hex, occurred_at=1, user=UserUpdate(id="ann"))
    postgres.apply([ReceivedJob.of(encode(identify)), ReceivedJob.of(encode(trigger("ann", "bo")))])
    with psycopg.connect(database_url) as connection:
        ids = [id_ for (id_,) in connection.execute("SELECT id FROM rollbook.messages")]

    assert {"ann", "bo"} <= postgres.find_recipients(ids)
    assert postgres.find_recipients([uuid4()]) == set()
    postgres.close()


def test_a_job_waits_for_a_frozen_redis_no_longer_than_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        notifier = FeedNotifier(url, no_recipients)
        used = time.thread_time()
        notifier.notify([trigger("ann")])
        assert time.thread_time() - used < ANSWER_SECONDS
        assert notifier._channel._failures == 1
