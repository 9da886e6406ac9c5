"""The broker's Redis: kombu says what a URL means and how to connect, this pushes messages onto the lists of queues.

Whatever kombu understands is understood here: `redis://`, `rediss://`, `redis+socket://`, `sentinel://`, several hosts
with `;` between them. A message pushed onto the list that is named for its queue is what kombu does for the default
exchange; no binding is looked up, so none can be missing.

Every step has a bound: waiting for a connection, connecting, each answer, one second try. What is large may take as
long as a slow network needs, as long as it moves.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import redis.exceptions
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.transport import resolve_transport
from redis.backoff import NoBackoff
from redis.retry import Retry

from rollbook.at_fork import reset_after_fork
from rollbook_shared.broker_url import for_kombu, is_sentinel
from rollbook_shared.errors import NotConfigured

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.5
"""Redis answers a push in well under a millisecond; one that takes this long is not going to."""
_PIECE: Final = 256 * 1024
"""Bytes of a large push that must leave within `ANSWER_SECONDS`. Given to the socket whole, all would have to: a bulk
job of 25 MB, 33 on the wire, could not pass a line of 100 Mbit/s.
"""
_LARGE: Final = 2 * 1024 * 1024
_BUFFERED: Final = 4 * 1024 * 1024
"""Bytes that may have left us and still be in the system's buffers."""
_SLOWEST: Final = 512 * 1024
"""Bytes a second; a network that is slower is given up."""
TURN_SECONDS: Final = 2.0
"""How long a thread waits for another one's connection; all are in use only when Redis is slow."""
CONNECTIONS: Final = 16
PAUSE_SECONDS: Final = 0.1
"""Before the second try: a connection that was cut needs none, a server that restarts some."""

BROKER_FAILURES: Final = (KombuError, redis.exceptions.RedisError, OSError)

_OPTIONS: Final = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "socket_keepalive": True,
    "max_connections": CONNECTIONS,
    # never retry_on_timeout: redis-py would push again by itself, and take its time
}
_SENTINEL_OPTIONS: Final = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "retry": Retry(NoBackoff(), 0),  # redis-py's own for these is 3 tries with seconds in between
}


_Hosts = tuple[tuple[str, dict[str, Any]], ...]
"""URL and options of each server, the one to use next before the others."""


class Broker:
    """Pushes messages. Threads may share it; a forked child opens connections of its own."""

    _line: _Line | None

    def __init__(self, url: str) -> None:
        """Prepare to connect; nothing is, before the first push.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        self._hosts = _hosts(url)
        self._begin()
        reset_after_fork(self)

    def push(self, queue: str, messages: Sequence[bytes]) -> None:
        """Put the messages into the queue, in their order and all at once.

        Raises:
            BROKER_FAILURES: Redis did not take them, or its answer was lost.
        """
        turns = self._turns
        if not turns.acquire(timeout=TURN_SECONDS):
            raise TimeoutError("every connection to the broker is in use")
        try:
            try:
                self._try(queue, messages)
            except BROKER_FAILURES:
                time.sleep(PAUSE_SECONDS)
                self._try(queue, messages)
        finally:
            turns.release()

    def close(self) -> None:
        """Close the connections; pushing again opens new ones."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def drop_inherited_connections(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(CONNECTIONS)
        self._line = None

    def _try(self, queue: str, messages: Sequence[bytes]) -> None:
        hosts, line = self._hosts, None
        try:
            line = self._opened(hosts)
            line.push(queue, messages)
        except BROKER_FAILURES:
            self._leave(hosts, line)
            raise

    def _opened(self, hosts: _Hosts) -> _Line:
        if (line := self._line) is not None:
            return line
        # Not under the lock: where Redis is frozen, threads would wait for one another's time to run out.
        mine = _Line(*hosts[0])
        with self._lock:
            if self._line is None:
                self._line = mine
                return mine
            line = self._line
        mine.close()
        return line

    def _leave(self, hosts: _Hosts, line: _Line | None) -> None:
        """Use them no more: the connections may be broken, the server may have become a replica, or it may be away."""
        with self._lock:
            if self._line is line:
                self._line = None
                if self._hosts is hosts:  # else another thread has seen to it
                    self._hosts = (*hosts[1:], hosts[0])
        if line is not None:
            line.close_idle()


class _Line:
    """Connections to one server, as kombu opens them."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        connection: Any = Connection(url, transport_options=options)  # type: ignore[no-untyped-call]
        # Not connection.connect(): that pauses for seconds between tries of its own.
        self._transport: Any = connection.transport.establish_connection()
        with self._transport.create_channel(self._transport).conn_or_acquire() as client:
            self._pool: Any = client.connection_pool
        self._idle: deque[Any] = deque()
        self._busy: set[object] = set()
        self._is_closed = False

    def push(self, queue: str, messages: Sequence[bytes]) -> None:
        self._busy.add(me := object())
        try:
            self._push(queue, messages)
        except (ValueError, AttributeError) as error:
            if not self._is_closed:
                raise
            # what redis-py makes of a socket that is gone
            raise ConnectionError("the broker was closed by another thread") from error
        finally:
            self._busy.discard(me)
            if self._is_closed:
                self.close()

    def _push(self, queue: str, messages: Sequence[bytes]) -> None:
        # Not client.lpush: of its 54 microseconds 23 are to see whether the connection is still there, and to measure
        # itself; here the answer says the first, or the lack of one.
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            if (size := sum(map(len, messages))) < _LARGE:
                connection.send_command("LPUSH", queue, *messages)
            else:
                connection.send_packed_command(_pieces(connection.pack_command("LPUSH", queue, *messages)))
                if not connection.can_read(ANSWER_SECONDS + min(size, _BUFFERED) / _SLOWEST):
                    raise TimeoutError("the broker does not answer")
            connection.read_response()
        except BaseException:  # an answer may still come, to whoever would use it next
            self._close(connection)
            raise
        self._idle.append(connection)

    def close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._close(self._idle.pop())

    def close(self) -> None:
        """Close what is idle, and the rest when whoever uses the last of it is done."""
        self._is_closed = True
        self.close_idle()
        if not self._busy:
            self._transport.close_connection(self._transport)

    def _close(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


def _pieces(packed: Iterable[bytes]) -> Iterator[memoryview]:
    for chunk in packed:
        view = memoryview(chunk)
        for start in range(0, len(chunk), _PIECE):
            yield view[start : start + _PIECE]


def first_host(url: str) -> tuple[str, dict[str, Any]]:
    """The server that jobs go to first: its URL, and the options with which kombu connects to it.

    Raises:
        NotConfigured: this is no URL of a Redis.
    """
    return _hosts(url)[0]


def _hosts(url: str) -> _Hosts:
    """The URL of each server to try, with its options; of Sentinel one, because it knows the servers by itself."""
    plain, said = for_kombu(url)
    options: dict[str, Any] = {**_OPTIONS, **said}
    urls = plain.split(";")
    if is_sentinel(plain):
        if not said:
            raise NotConfigured("a sentinel:// URL must name the master, as in sentinel://10.0.0.1/0?master_name=main")
        urls, options = [plain], {**options, "sentinel_kwargs": _SENTINEL_OPTIONS}
    if not all(map(_is_redis, urls)):
        raise NotConfigured("the broker's URL is not one of Redis, such as redis://127.0.0.1:6379/0")
    return tuple((each, options) for each in urls)


def _is_redis(url: str) -> bool:
    # a wrong URL should fail at the start of the application, not with its first job
    try:
        transport: Any = resolve_transport(Connection(url).transport_cls)  # type: ignore[no-untyped-call]
    except (KeyError, ValueError, ImportError, TypeError):
        return False
    return bool(transport.driver_type == "redis")
