"""Users told of and not sent yet: a batch that is filling, batches that wait, and a thread that sends them.

Users are kept as the text that will be sent. As objects they would take five times the room, and twice the time: each
makes a dozen containers that Python's collector looks through again and again while they wait.

All state is under one lock, held for moments only; sending is under another, by the thread or by whoever flushes. A
batch leaves the buffer when the broker has it, so a failure keeps it where it was. It keeps its id, too: should the
broker have taken a batch whose answer was lost, the second one is a duplicate.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rollbook.at_fork import reset_after_fork
from rollbook.publishing import EncodedJob
from rollbook_shared.backoff import Backoff
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.tracing import caller

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

logger: Final = logging.getLogger("rollbook")

_BATCH_BYTES: Final = 1024 * 1024
"""Of one job, and the last user of it more. Workers bury a job of more than 64 MiB; and one this large gains nothing by
growing.
"""
_WAITING_BYTES: Final = 64 * 1024 * 1024
_MOST_CALLERS: Final = 128
"""Of one job that its span is linked to; an SDK keeps no more unless it is told to."""
_BACKOFF: Final = Backoff(first=0.4, longest=5.0, jitter=0)


class BufferFull(Unavailable):
    """Too many users wait for the broker: `waiting`. This one was not kept; tell again when the broker is back."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} users wait for the broker already; this one was not kept")


@dataclass(slots=True)
class _Batch:
    id: str
    due: float
    """On the monotonic clock."""
    users: list[bytes] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    size: int = 0
    """Bytes of the users."""
    callers: dict[tuple[int, int], SpanContext] = field(default_factory=dict)

    def told_by(self, caller: SpanContext) -> None:
        if len(self.callers) < _MOST_CALLERS:
            self.callers[caller.trace_id, caller.span_id] = caller

    def job(self) -> EncodedJob:
        return EncodedJob.of_users(self.id, self.users, self.timestamps, tuple(self.callers.values()))


class Buffer:
    """Gathers users into bulk jobs. Threads may share it; a forked child has an empty one of its own."""

    _filling: _Batch | None
    _thread: threading.Thread | None

    def __init__(
        self,
        send: Callable[[EncodedJob], None],
        *,
        max_users: int,
        max_seconds: float,
        max_waiting: int,
        block_seconds: float,
    ) -> None:
        self._send = send
        self._max_users = max_users
        self._max_seconds = max_seconds
        self._max_waiting = max_waiting
        self._block_seconds = block_seconds
        self._begin_empty()
        reset_after_fork(self)
        _flush_at_exit(self)

    def add(self, user: bytes, moment: int) -> str:
        """Keep the encoded user for the next bulk job, and return that job's id.

        Raises:
            BufferFull: there was no room within the time to wait for it.
        """
        told_by = caller()
        with self._changed:
            if self._is_full():
                self._wait_for_room()
            batch = self._filling
            if batch is None:
                batch = self._filling = _Batch(new_job_id(moment), time.monotonic() + self._max_seconds)
                self._changed.notify_all()
            batch.users.append(user)
            batch.timestamps.append(moment)
            batch.size += len(user)
            if told_by is not None:
                batch.told_by(told_by)
            self._waiting += 1
            self._waiting_bytes += len(user)
            if len(batch.users) >= self._max_users or batch.size >= _BATCH_BYTES:
                self._seal()
            if self._thread is None:
                self._start_thread()
        return batch.id

    def flush(self) -> None:
        """Send everything that was added before.

        Raises:
            NotSent: the broker did not take it; it is kept, and will be tried again.
        """
        with self._changed:
            self._seal()
        self._send_sealed()

    def close(self) -> None:
        """Flush, and end the thread. Adding begins anew.

        Raises:
            NotSent: the broker did not take everything; what is left is kept, for another `close` or `flush`.
        """
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self.flush()

    @property
    def waiting(self) -> int:
        """How many users are not sent yet."""
        return self._waiting

    def drop_inherited_connections(self) -> None:
        # what is gathered is the parent's to send
        self._begin_empty()

    def _begin_empty(self) -> None:
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._filling = None
        self._sealed: deque[_Batch] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._thread = None

    def _seal(self) -> None:
        if self._filling is not None:
            self._sealed.append(self._filling)
            self._filling = None
            self._changed.notify_all()

    def _send_sealed(self) -> None:
        with self._sending:
            # not until there are none: others may add faster than this sends
            for batch in list(self._sealed):
                self._send(batch.job())
                with self._changed:
                    self._sealed.popleft()
                    self._waiting -= len(batch.users)
                    self._waiting_bytes -= batch.size
                    self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._waiting >= self._max_waiting or self._waiting_bytes >= _WAITING_BYTES

    def _wait_for_room(self) -> None:
        if not self._changed.wait_for(lambda: not self._is_full(), self._block_seconds):
            raise BufferFull(self._waiting)

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="rollbook-buffer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failures = 0
        while self._wait_until_due():
            try:
                self._send_sealed()
            except Exception as error:  # whatever it is, what is gathered must not be left without a sender
                if not failures:
                    logger.warning("buffered users are kept (%s: %s)", type(error).__name__, error)
                self._pause(_BACKOFF.delay(failures))
                failures += 1
            else:
                failures = 0

    def _wait_until_due(self) -> bool:
        """Wait for a batch to send; False once this thread is to end."""
        with self._changed:
            while self._thread is threading.current_thread():
                if self._filling is not None and self._filling.due <= time.monotonic():
                    self._seal()
                if self._sealed:
                    return True
                self._changed.wait(None if self._filling is None else self._filling.due - time.monotonic())
        return False

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._thread is not threading.current_thread(), seconds)


def _flush_at_exit(buffer: Buffer) -> None:
    kept = weakref.ref(buffer)

    def flush() -> None:
        if (buffer := kept()) is None or not buffer.waiting:
            return
        try:
            buffer.close()
        except Unavailable as error:
            logger.error("%d users told of were not sent: %s", buffer.waiting, error)

    atexit.register(flush)
    weakref.finalize(buffer, atexit.unregister, flush).atexit = False
