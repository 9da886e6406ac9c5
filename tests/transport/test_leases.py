"""Leases are renewed while process and channel live, and no message is held for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis
from tests.support.transport.consumers import LEASE, Consumer, score
from tests.support.transport.harness import envelope
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_worker.celery_ext.transport.lease_renewal import Leases

Consume = Callable[..., Consumer]


def renewals() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rollbook-leases"]


class Interrupted(dict[str, int]):
    """Sizes in the midst of whose reading a signal comes, whose handler gives something back."""

    def __init__(self, leases: Leases) -> None:
        super().__init__(new=1)
        self._leases = leases

    def items(self) -> Any:
        self._leases.drop(["old"])
        return super().items()


def test_a_signal_handler_can_release_during_a_claim() -> None:
    leases = Leases(max_lease=60)
    leases.add({"old": 2}, at=1.0)

    claiming = threading.Thread(target=lambda: leases.add(Interrupted(leases), at=2.0), daemon=True)
    claiming.start()
    claiming.join(DEADLINE_SECONDS)

    assert not claiming.is_alive()
    assert (leases.to_renew(), leases.bytes) == (["new"], 1)


def test_leases_are_renewed_while_the_consumer_is_busy(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("long"))
    busy = consume(lease=LEASE)
    busy.take(1)
    before = score(client)

    wait_until(lambda: score(client) > before + 2 * LEASE, what="renewing again and again")
    consume("second", lease=LEASE).channel.qos.restore_expired()

    assert client.hlen("unacked") == 1


def test_a_renewal_does_not_restore_an_acknowledged_message(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("done"))
    consumer = consume(lease=LEASE)
    consumer.take(1)
    tag = consumer.messages[0].delivery_tag

    consumer.messages[0].ack()
    consumer.turn()

    assert consumer.channel.qos.renewal.renew([tag]).gone == [tag]
    assert client.zcard("unacked_index") == 0


def test_acknowledged_messages_are_not_renewed(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", *(envelope(number) for number in range(6)))
    consumer = consume(prefetch=2)
    for _ in range(3):
        consumer.take(2)
        for message in consumer.messages[-2:]:
            message.ack()
    consumer.turn()

    assert consumer.channel.qos.leases.to_renew() == []


def test_a_message_claimed_again_counts_its_bytes_once() -> None:
    leases = Leases(max_lease=1)
    leases.add({"one": 100, "two": 20}, at=1.0)
    leases.add({"one": 110}, at=2.0)
    assert leases.bytes == 130

    leases.drop(["one", "two", "three"])
    assert leases.bytes == 0


def test_renewals_end_with_the_channel(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("held"))
    consumer = consume(lease=LEASE)
    consumer.take(1)
    assert len(renewals()) == 1

    consumer.close()

    wait_until(lambda: not renewals(), what="the end of the thread")


def test_renewals_do_not_keep_a_channel_alive(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("held"))
    consumer = consume(lease=LEASE)
    consumer.take(1)

    held = vars(consumer.channel.qos.renewal).values()
    assert "channel" not in repr([(each, getattr(each, "__dict__", None)) for each in held]).lower()


def test_a_message_held_too_long_is_left_to_others(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("hangs"))
    hanging = consume(lease=LEASE, max_lease=LEASE)
    hanging.take(1)
    other = consume("second", lease=LEASE)

    def is_back() -> bool:
        other.channel.qos.restore_expired()
        return bool(client.llen("first"))

    wait_until(is_back, what="coming back")


def test_renewals_survive_a_broken_connection(client: redis.Redis, consume: Consume) -> None:
    client.lpush("first", envelope("held"))
    consumer = consume(lease=LEASE)
    consumer.take(1)
    for connection in client.client_list():
        if int(connection["id"]) != client.client_id():
            client.client_kill_filter(_id=connection["id"])
    before = score(client)

    wait_until(lambda: score(client) > before + LEASE, what="renewing")
    consumer.vanish()
