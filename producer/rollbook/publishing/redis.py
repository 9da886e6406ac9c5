"""Pushes messages onto the lists that are the queues in the broker's Redis.

Each queue is the list of its name, which is where kombu puts messages of the default exchange. No binding is looked up,
so none can be missing.

Every step is bounded: waiting for a connection, connecting, each answer, one second try. A large push may take as long
as a slow network needs, provided that bytes keep moving.

redis-py's `BlockingConnectionPool` with its `Retry` would be less code, and was tried: `users.identify` then reached
0.76 of the rate (111 us a job in place of 84, side by side). That pool asks the system before each command whether its
connection is still open, and records metrics of itself. It also has no next server to use when one fails, it has no
version that asks sentinels, and closing the client in one thread cuts the connections that other threads are using.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import redis.exceptions

from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook_shared.broker_url import BrokerEndpoint, parse_broker_url

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.5
"""Redis answers a push in well under a millisecond; one that takes this long is not going to answer."""
_CHUNK: Final = 256 * 1024
"""Bytes of a large push that must leave within `ANSWER_SECONDS`. Given to the socket whole, all would have to: a bulk
job of 25 MB, 33 on the wire, could not pass a line of 100 Mbit/s.
"""
LARGE_PUSH: Final = 2 * 1024 * 1024
_SOCKET_BUFFERS: Final = 4 * 1024 * 1024
"""Bytes that may have left us and still be in the system's buffers."""
_MIN_RATE: Final = 512 * 1024
"""Bytes a second; a slower network is given up."""
WAIT_SECONDS: Final = 2.0
"""How long a thread waits for a connection; all are in use only when Redis is slow."""
MAX_CONNECTIONS: Final = 16
PAUSE_SECONDS: Final = 0.1
"""Before the second try: a connection that was cut needs none, a server that restarts some."""

BROKER_FAILURES: Final = (redis.exceptions.RedisError, OSError)


class Broker:
    """Pushes messages. Threads may share it; a forked child opens connections of its own."""

    _lock = ProcessLock(lambda: threading.Lock())
    _permits = ProcessLock(lambda: threading.BoundedSemaphore(MAX_CONNECTIONS))
    _pool: _Pool

    def __init__(self, url: str) -> None:
        """Prepare to connect; nothing is connected before the first push.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._endpoints = parse_broker_url(url)
        self._pool = _Pool(self._endpoints[0])
        reset_after_fork(self)

    def push(self, queue: str, messages: Sequence[bytes]) -> None:
        """Put the messages into the queue, in their order and all at once.

        Raises:
            BROKER_FAILURES: Redis did not take them, or its answer was lost.
        """
        permits = self._permits
        if not permits.acquire(timeout=WAIT_SECONDS):
            raise TimeoutError("every connection to the broker is in use")
        try:
            try:
                self._try_push(queue, messages)
            except BROKER_FAILURES:
                time.sleep(PAUSE_SECONDS)
                self._try_push(queue, messages)
        finally:
            permits.release()

    def close(self) -> None:
        """Close the connections; pushing again opens new ones."""
        with self._lock:
            closed, self._pool = self._pool, _Pool(self._endpoints[0])
        closed.close()

    def drop_inherited_connections(self) -> None:
        renew_locks(self)
        self._pool = _Pool(self._endpoints[0])

    def _try_push(self, queue: str, messages: Sequence[bytes]) -> None:
        pool = self._pool
        try:
            pool.push(queue, messages)
        except BROKER_FAILURES:
            self._abandon(pool)
            raise

    def _abandon(self, pool: _Pool) -> None:
        """Use the next server from now on: this one may be away, or a replica now, and its connections broken."""
        with self._lock:
            if self._pool is pool:  # otherwise another thread has done it
                self._endpoints = (*self._endpoints[1:], self._endpoints[0])
                self._pool = _Pool(self._endpoints[0])
        pool.close()


class _Pool:
    """Connections to one server. It opens as many as are used at once and keeps them."""

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self._endpoint = endpoint
        self._idle: deque[Any] = deque()
        self._is_closed = False

    def push(self, queue: str, messages: Sequence[bytes]) -> None:
        connection = self._take()
        try:
            _push(connection, queue, messages)
        except BaseException:  # an answer may still come, and the next command would take it for its own
            connection.disconnect()
            raise
        self._idle.append(connection)
        if self._is_closed:
            self.close()

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            pass  # not connected in here: its error would show this one as well
        return self._endpoint.connect(connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS)

    def close(self) -> None:
        """Close the idle connections; those in use are closed by the threads that use them, when they are done."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().disconnect()


def _push(connection: Any, queue: str, messages: Sequence[bytes]) -> None:
    # Not client.lpush: of its 54 microseconds it spends 23 on seeing whether the connection is still there, and on
    # measuring itself. Here the answer shows that it is.
    if (size := sum(map(len, messages))) < LARGE_PUSH:
        connection.send_command("LPUSH", queue, *messages)
    else:
        connection.send_packed_command(chunks(connection.pack_command("LPUSH", queue, *messages)))
        if not connection.can_read(answer_seconds(size)):
            raise TimeoutError("the broker does not answer")
    connection.read_response()


def answer_seconds(size: int) -> float:
    """How long the answer to a large push of so many bytes may take, once all of it has left us."""
    return ANSWER_SECONDS + min(size, _SOCKET_BUFFERS) / _MIN_RATE


def chunks(packed: Iterable[bytes]) -> Iterator[memoryview]:
    """The parts of a large push, each to leave within `ANSWER_SECONDS`."""
    for part in packed:
        view = memoryview(part)
        for start in range(0, len(part), _CHUNK):
            yield view[start : start + _CHUNK]
