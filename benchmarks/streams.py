"""The transport's scripts against Redis Streams: messages per second, and processor time of the server.

    ./run python -m benchmarks.streams [--rounds 5] [--messages 20000] [--json]

One connection takes messages from one queue of a Valkey that is started here, 200 at a time, and acknowledges those of
the time before. No task runs, so this is the cost of the broker's side alone:

- lists: our `claim`, which acknowledges in the same step; the lease of each message is recorded
- streams: XREADGROUP, then XACK and XDEL (without XDEL, or trimming, a stream keeps what is done)
- streams, kept: XREADGROUP, then XACK

Each way has its turn in every round, in random order; the output has the medians. Processor time is that of the server,
from `INFO cpu`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import redis
from benchmarks.transport import celery_message

from rollbook_ops.devstack import Servers
from rollbook_worker.celery_ext.transport.claimed_messages import QueueState
from rollbook_worker.celery_ext.transport.queue_scripts import QueueScripts, RedisKeys, ScriptConnection

QUEUE: Final = "one"
GROUP: Final = "workers"
AT_ONCE: Final = 200


class Measurement(NamedTuple):
    """One turn of one way."""

    rate: float
    """Messages per second."""
    server_us: float
    """Processor time of the server per message, in microseconds."""


def consume_lists(client: redis.Redis, connection: ScriptConnection, messages: list[str]) -> Callable[[], int]:
    client.lpush(QUEUE, *messages)
    keys = RedisKeys(
        prefix="",
        unacked="unacked",
        index="unacked_index",
        dead_letters="dead_letters",
        owner="rollbook.store",
        separator="\x06\x16",
        steps=(0,),
    )
    scripts = QueueScripts(
        keys,
        lease=30.0,
        visibility_timeout=240.0,
        max_deliveries=5,
        claim_bytes=4_000_000,
        dead_letter_task="rollbook.dead_letter",
    )
    scripts.own("a store")

    def run() -> int:
        acks: list[str] = []
        total = 0
        while True:
            claim = scripts.claim(connection, [QUEUE], room=AT_ONCE, allow_suspect=True, acks=acks)
            acks = [message.tag for message in claim.messages]
            total += len(acks)
            if claim.state is QueueState.EMPTY and not acks:
                return total

    return run


def consume_streams(
    client: redis.Redis, connection: ScriptConnection, messages: list[str], *, delete: bool
) -> Callable[[], int]:
    with client.pipeline(transaction=False) as pipe:
        for message in messages:
            pipe.xadd(QUEUE, {"m": message})
        pipe.execute()
    client.xgroup_create(QUEUE, GROUP, id="0")
    read = ("XREADGROUP", "GROUP", GROUP, "worker", "COUNT", AT_ONCE, "STREAMS", QUEUE, ">")

    def run() -> int:
        total = 0
        while answer := connection.command(*read):
            ids: list[Any] = [id_ for id_, _ in answer[0][1]]
            total += len(ids)
            connection.command("XACK", QUEUE, GROUP, *ids)
            if delete:
                connection.command("XDEL", QUEUE, *ids)
        return total

    return run


WAYS: Final[dict[str, Callable[[redis.Redis, ScriptConnection, list[str]], Callable[[], int]]]] = {
    "lists": consume_lists,
    "streams": lambda *arguments: consume_streams(*arguments, delete=True),
    "streams, kept": lambda *arguments: consume_streams(*arguments, delete=False),
}


def measure(client: redis.Redis, way: str, number: int) -> Measurement:
    client.flushdb()
    connection = ScriptConnection(client.connection_pool)
    run = WAYS[way](client, connection, [celery_message("nothing", "x" * 300, QUEUE) for _ in range(number)])
    used, begun = _server_seconds(client), time.perf_counter()
    assert run() == number
    seconds, used = time.perf_counter() - begun, _server_seconds(client) - used
    connection.return_to_pool()
    return Measurement(number / seconds, used / number * 1_000_000)


def _server_seconds(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, list[Measurement]] = {way: [] for way in WAYS}
    with (
        Servers(durable=False, database_url="postgresql://not-needed") as servers,
        redis.Redis.from_url(servers.broker_url, protocol=2) as client,
    ):
        for round_ in range(given.rounds + 1):
            for way in random.sample(list(WAYS), len(WAYS)):
                measured = measure(client, way, given.messages)
                if round_:  # the first warms up
                    found[way].append(measured)
    medians = {
        way: {
            "per_second": round(statistics.median(each.rate for each in measured)),
            "server_us": round(statistics.median(each.server_us for each in measured), 2),
        }
        for way, measured in found.items()
    }
    if given.json:
        print(json.dumps(medians))
        return
    for way, figures in medians.items():
        print(
            f"{way:<14} {figures['per_second']:>9,.0f} messages/s  {figures['server_us']:>6.1f} us of the server each"
        )


if __name__ == "__main__":
    main()
