"""A message of a few kilobytes costs no worker gigabytes: nothing is unpacked that no publisher of ours packs."""

from __future__ import annotations

import bz2
import functools
import json
import lzma
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.memory_use import MEMORY_IS_KNOWN, PeakMemory
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, TASKS
from rollbook_shared.jobs.codec import KEPT_TEXT

MEGA: Final = 1_000_000
UNPACKED_BYTES: Final = 300 * MEGA
MAX_GROWTH: Final = 64 * MEGA
TIMES: Final = 10


@functools.cache
def gzip_of_zeros() -> bytes:
    packer = zlib.compressobj()
    zeros = bytes(MEGA)
    return b"".join(packer.compress(zeros) for _ in range(UNPACKED_BYTES // MEGA)) + packer.flush()


def lzma_of_zeros() -> bytes:
    return lzma.compress(bytes(10 * MEGA), preset=0) * (UNPACKED_BYTES // (10 * MEGA))


@functools.cache
def bzip2_of_zeros() -> bytes:
    return bz2.compress(bytes(10 * MEGA), 1) * (UNPACKED_BYTES // (10 * MEGA))


def message(
    body: bytes, number: int, *, type: str = "application/json", encoding: str = "utf-8", **headers: Any
) -> bytes:
    """A message as a sender of a stranger would pack it."""
    return json.dumps(
        {
            "body": b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": type,
            "headers": {"task": TASKS["identify"], "id": f"packed-{number}", "lang": "py"} | headers,
            "properties": {
                "delivery_tag": f"packed-{number}",
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": DEFAULT_QUEUE},
            },
        }
    ).encode()


Pack = Callable[[int], bytes]
PACKED: Final[dict[str, tuple[str, Callable[[], Pack]]]] = {
    "gzip": ("compressed", lambda: _headed(gzip_of_zeros(), compression="application/x-gzip")),
    "lzma": ("compressed", lambda: _headed(lzma_of_zeros(), compression="application/x-lzma")),
    "bzip2": ("compressed", lambda: _headed(bzip2_of_zeros(), compression="bzip2")),
    "a codec that decompresses": (
        "content type",
        lambda: _headed(gzip_of_zeros(), type="application/data", encoding="zlib_codec"),
    ),
    "the same as text": (
        "content type",
        lambda: _headed(bzip2_of_zeros(), type="application/text", encoding="bz2_codec"),
    ),
    "NULs for another's task": ("first", lambda: _headed(bytes(2 * MEGA), task="other.task")),
    "bytes for another's task": ("only its first", lambda: _headed(b"\xff" * (2 * MEGA), task="other.task")),
    "a header of 2 MB": ("not text", lambda: _headed(b"[[7], {}, {}]", argsrepr="x" * (2 * MEGA))),
    "a nested body": ("", lambda: _headed(b"[" * MEGA)),
    "a number of many digits": ("", lambda: _headed(b"[[" + b"9" * MEGA + b"], {}, {}]")),
    "a float of many digits": ("", lambda: _headed(b"[[1." + b"9" * MEGA + b"e999999999], {}, {}]")),
}


def _headed(body: bytes, **parts: Any) -> Pack:
    return lambda number: message(body, number, **parts)


@pytest.fixture(scope="module")
def worker(
    database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workers, int]]:
    logs: Path = tmp_path_factory.mktemp("workers")
    workers = Workers(database_url, broker_url, logs)
    process = workers.start(threads=2)
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        for number in range(20):  # it has all it needs
            rb.users.identify("warm", {"n": number}).wait(DEADLINE_SECONDS)
    yield workers, process.pid
    assert process.poll() is None
    workers.stop()


@MEMORY_IS_KNOWN
@pytest.mark.parametrize(("word", "make"), PACKED.values(), ids=PACKED)
def test_a_packed_message_costs_little_memory(
    worker: tuple[Workers, int], rb: Rollbook, database_url: str, broker_url: str, word: str, make: Callable[[], Pack]
) -> None:
    _, pid = worker
    pack = make()
    with psycopg.connect(database_url, autocommit=True) as connection, connect_to_broker(broker_url) as broker:
        connection.execute("DELETE FROM rollbook.dead_letters")
        memory = PeakMemory(pid)

        for number in range(TIMES):
            broker.lpush(DEFAULT_QUEUE, pack(number))
        good = rb.users.identify("beside", {"word": word})

        assert good.wait(DEADLINE_SECONDS).state == "applied"
        wait_until(lambda: not broker.llen(DEFAULT_QUEUE) and not broker.hlen("unacked"), what="an empty queue")
        ((code, reason, size),) = connection.execute(
            "SELECT DISTINCT code, reason, length(body) FROM rollbook.dead_letters"
        ).fetchall()
    assert (code, word in reason) == ("malformed", True), reason
    assert size <= (KEPT_TEXT if "first" in word else 4 * MEGA)
    assert memory.growth < MAX_GROWTH


def test_a_compressed_broadcast_is_not_unpacked(worker: tuple[Workers, int], rb: Rollbook, broker_url: str) -> None:
    _, pid = worker
    packed = json.loads(_headed(gzip_of_zeros(), compression="gzip")(0))
    memory = PeakMemory(pid)
    with connect_to_broker(broker_url) as client:
        number = client.connection_pool.connection_kwargs["db"]
        assert client.publish(f"/{number}.celery.pidbox", json.dumps(packed))

        assert rb.users.identify("beside-broadcast").wait(DEADLINE_SECONDS).state == "applied"
    assert memory.growth < MAX_GROWTH
