"""Identifies from a hot path: gathered in memory, and sent as bulk jobs.

The result is the same as that of single identifies. Each user in a bulk job keeps the time of its call, and two updates
of one user in one job keep their order by their position. So nothing has to be flushed before another job: a trigger or
a delete that reaches the broker before an earlier identify still comes after it. Every other kind of job is sent at
once, and so is an identify with a `job_id`, an `occurred_at`, a `run_at` or a `delay`.

A process that is killed loses what it has gathered and not sent: at most `max_seconds` of it while the broker answers.
An ordinary exit sends it, of a child too (`rollbook.at_exit`). While the broker does not answer the users are kept, and
calls raise `BufferFull` once `max_waiting` is reached; nothing is dropped without an error.

The parts are a batch that is filling, sealed batches that wait, and a thread that sends them. All state is under one
lock that is held briefly. Sending is under a second lock, by the thread or by a caller of `flush`. Each process makes
its own locks, when it first buffers a user. A batch leaves the buffer when the broker has it, so a failure leaves it in
its place. It also keeps its id: if the broker took a batch and its answer was lost, the second one is a duplicate.

Users are kept as the text that will be sent. As objects they would take five times the memory and twice the time: each
has a dozen containers that Python's garbage collector looks through again and again while they wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rollbook.at_exit import flush_at_exit, register_exit_hooks
from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook.publishing import EncodedJob
from rollbook_shared.backoff import Backoff
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import Unavailable
from rollbook_shared.observability.tracing import current_sampled_span

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

logger: Final = logging.getLogger("rollbook")

BATCH_BYTES: Final = 1024 * 1024
"""Users of one job; the last one may exceed it. Workers make a dead letter of a job above 64 MiB, and a job of
this size gains nothing by growing.
"""
WAITING_BYTES: Final = 64 * 1024 * 1024
_MAX_CALLERS: Final = 128
"""Span contexts that a job's span links to; an SDK keeps no more by default."""
BACKOFF: Final = Backoff(first=0.4, longest=5.0, jitter=0)


class BufferFull(Unavailable):
    """Too many users wait for the broker: `waiting` of them. This one was not kept; call again later."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} users wait for the broker; this one was not kept")


@dataclass(slots=True)
class UserBatch:
    """Users of one job that is not sent yet."""

    id: str
    due: float
    """When to send it, on the monotonic clock."""
    users: list[bytes] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    size: int = 0
    """Bytes of the users."""
    callers: dict[tuple[int, int], SpanContext] = field(default_factory=dict)

    def add(self, user: bytes, occurred_at: int, caller: SpanContext | None) -> None:
        """Add an encoded user, and the span of the call that gave it."""
        self.users.append(user)
        self.timestamps.append(occurred_at)
        self.size += len(user)
        if caller is not None and len(self.callers) < _MAX_CALLERS:
            self.callers[caller.trace_id, caller.span_id] = caller

    def job(self) -> EncodedJob:
        """The bulk job of the users."""
        return EncodedJob.of_users(self.id, self.users, self.timestamps, tuple(self.callers.values()))


class Buffer:
    """Gathers users into bulk jobs. Threads may share it; a forked child starts with an empty one."""

    _changed = ProcessLock(lambda: threading.Condition())
    _sending = ProcessLock(lambda: threading.Lock())
    _filling: UserBatch | None
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
        flush_at_exit(self)

    def add(self, user: bytes, occurred_at: int) -> str:
        """Keep the encoded user for the next bulk job, and return that job's id.

        Raises:
            BufferFull: there was no room within `block_seconds`.
        """
        call = current_sampled_span()
        with self._changed:
            if self._is_full():
                self._wait_for_room()
            batch = self._filling
            if batch is None:
                batch = self._filling = UserBatch(new_job_id(occurred_at), time.monotonic() + self._max_seconds)
                self._changed.notify_all()
            batch.add(user, occurred_at, call)
            self._waiting += 1
            self._waiting_bytes += len(user)
            if len(batch.users) >= self._max_users or batch.size >= BATCH_BYTES:
                self._seal()
            if self._thread is None and not self._is_ending:
                self._start_thread()
        if self._is_ending:  # a thread might not come to send it
            self.flush_at_exit()
        return batch.id

    def flush(self) -> None:
        """Send everything that was added before.

        Raises:
            NotSent: the broker did not take a batch; it is kept, and sent again later.
        """
        with self._changed:
            self._seal()
        self._send_sealed()

    def close(self) -> None:
        """Flush, and stop the thread. Adding a user starts it again.

        Raises:
            NotSent: the broker did not take everything; the rest is kept for another `close` or `flush`.
        """
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self.flush()

    def flush_at_exit(self) -> None:
        """Send everything, and from now on each user at once. Logs what the broker does not take."""
        self._is_ending = True
        if not self._waiting:
            return
        try:
            self.close()
        except Exception as error:  # of any kind: other buffers are flushed too
            reason = error if isinstance(error, Unavailable) else type(error).__name__
            logger.error("%d buffered users were not sent: %s", self._waiting, reason)

    @property
    def waiting(self) -> int:
        """How many users are not sent yet."""
        return self._waiting

    def drop_inherited_connections(self) -> None:
        # the parent sends what it has gathered
        renew_locks(self)
        self._begin_empty()

    def _begin_empty(self) -> None:
        self._filling = None
        self._sealed: deque[UserBatch] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._thread = None
        self._is_ending = False

    def _seal(self) -> None:
        if self._filling is not None:
            self._sealed.append(self._filling)
            self._filling = None
            self._changed.notify_all()

    def _send_sealed(self) -> None:
        with self._sending:
            # not until none are left: callers may add them faster than this sends
            for batch in list(self._sealed):
                self._send(batch.job())
                with self._changed:
                    self._sealed.popleft()
                    self._waiting -= len(batch.users)
                    self._waiting_bytes -= batch.size
                    self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._waiting >= self._max_waiting or self._waiting_bytes >= WAITING_BYTES

    def _wait_for_room(self) -> None:
        if not self._changed.wait_for(lambda: not self._is_full(), self._block_seconds):
            raise BufferFull(self._waiting)

    def _start_thread(self) -> None:
        register_exit_hooks()
        self._thread = threading.Thread(target=self._run, name="rollbook-buffer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failures = 0
        while self._wait_until_due():
            try:
                self._send_sealed()
            except Exception as error:  # of any kind: without this thread the users would not be sent
                if not failures:
                    logger.warning("buffered users are kept (%s: %s)", type(error).__name__, error)
                self._pause(BACKOFF.delay(failures))
                failures += 1
            else:
                failures = 0

    def _wait_until_due(self) -> bool:
        """Wait for a batch to send; False when this thread has to stop."""
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
