"""Sends jobs straight to the broker: when `send` returns, Redis has the job.

A web request must not hang because Redis does. Every step has a bound: connecting, each answer, getting a connection
from the pool, one second try. Together they give `NotSent` within a few seconds, with Redis gone or frozen alike.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis.exceptions
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import KombuError
from kombu.pools import ProducerPool
from kombu.transport import resolve_transport

from rollcall.forks import forget_in_children
from rollcall.sending.encoded import EncodedJob
from rollcall_shared.errors import NotConfigured, NotSent, Unavailable
from rollcall_shared.jobs import Job
from rollcall_shared.routing import QUEUES, TASK_PREFIX, queue_of

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.5
"""Redis answers a push in well under a millisecond; one that takes this long is not going to."""
POOL_SECONDS: Final = 2.0
"""How long a thread waits for another one's connection; all are in use only when Redis is slow."""
CONNECTIONS: Final = 16
PIPELINED: Final = 500
"""Jobs in one round trip to Redis, where many are sent at once."""

_TRANSPORT_OPTIONS: Final = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_timeout": ANSWER_SECONDS,
    "socket_keepalive": True,
    "priority_steps": [0],
    # never retry_on_timeout: redis-py would push again by itself, and take its time
}
_BROKER_FAILURES: Final = (KombuError, redis.exceptions.RedisError, OSError)


class DirectSender:
    """Publishes each job as a Celery task named for its kind, with the job's id as the task's id."""

    def __init__(self, broker_url: str) -> None:
        """Prepare to send; nothing is connected before the first job.

        Raises:
            NotConfigured: this is no URL of a Redis.
        """
        if not _is_redis(broker_url):
            raise NotConfigured("the broker's URL is not one of Redis, such as redis://127.0.0.1:6379/0")
        self._broker_url = broker_url
        self._celery = _producing_app()
        self._lock = threading.Lock()
        self._connections: Any = None
        self._producers: Any = None
        forget_in_children(self)

    def send(self, job: Job) -> None:
        """Publish the job.

        Raises:
            NotSent: Redis did not take the job, or its answer was lost.
        """
        encoded = EncodedJob.of(job)
        try:
            with self._producer() as producer:
                self._publish(producer, encoded)
        except _BROKER_FAILURES as error:
            raise NotSent(job.id, _why(error)) from error

    def send_encoded(self, jobs: Sequence[EncodedJob]) -> None:
        """Publish many jobs in few round trips.

        Raises:
            Unavailable: Redis did not take all of them; sending all again is safe.
        """
        try:
            with self._producer() as producer, producer.batch(max_size=PIPELINED):
                for job in jobs:
                    self._publish(producer, job)
        except _BROKER_FAILURES as error:
            raise Unavailable(f"the broker did not take {len(jobs)} jobs ({_why(error)})") from error

    def close(self) -> None:
        """Close the connections to the broker; sending again opens new ones."""
        with self._lock:
            connections = self._connections
            self._connections = self._producers = None
        if connections is not None:
            connections.force_close_all()

    def forget_connections(self) -> None:
        self._lock = threading.Lock()
        self._connections = self._producers = None

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        with self._open_producers().acquire(block=True, timeout=POOL_SECONDS) as producer:
            yield producer

    def _publish(self, producer: Any, job: EncodedJob) -> None:
        self._celery.send_task(
            TASK_PREFIX + job.kind,
            args=[job.body],
            task_id=job.id,
            root_id=job.id,
            queue=queue_of(job.kind),
            producer=producer,
            ignore_result=True,
            add_to_parent=False,
            argsrepr=job.shown,
            kwargsrepr="",
        )

    def _open_producers(self) -> Any:
        with self._lock:
            if self._producers is None:
                # Pools of our own: Celery's are shared by all apps of the process, and so is their limit.
                connection: Any = Connection(  # type: ignore[no-untyped-call]
                    self._broker_url, transport_options=_TRANSPORT_OPTIONS
                )
                self._connections = connection.Pool(CONNECTIONS)
                self._producers = ProducerPool(  # type: ignore[no-untyped-call]
                    self._connections, limit=CONNECTIONS
                )
            return self._producers


def _is_redis(url: str) -> bool:
    # a wrong URL should fail at the start of the application, not with its first job
    try:
        transport: Any = resolve_transport(Connection(url).transport_cls)  # type: ignore[no-untyped-call]
    except (KeyError, ValueError, ImportError):
        return False
    return bool(transport.driver_type == "redis")


def _why(error: BaseException) -> str:
    """What was at the bottom of it, for kombu wraps what Redis said. Of connections the text, which names the host; of
    anything else the class only: what Redis says of a command may quote the job.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    is_connecting = isinstance(error, (redis.exceptions.ConnectionError, OSError))
    return (is_connecting and str(error).rstrip(".")) or type(error).__name__


class _ProducingApp(Celery):  # type: ignore[misc]
    backend_cls = "disabled"


def _producing_app() -> Any:
    """A Celery app that leaves the application's own alone, and is left alone by it.

    Not current, no fixups: Celery's for Django would make this the default app, and the application's tasks would go
    to our broker. A configuration and a loader of its own, a connection of its own: Celery would let
    CELERY_BROKER_URL, CELERY_RESULT_BACKEND, CELERY_CONFIG_MODULE and CELERY_LOADER, which are the application's,
    override ours.
    """
    return _ProducingApp(
        "rollcall",
        set_as_current=False,
        fixups=set(),
        loader="celery.loaders.app:AppLoader",
        config_source={
            "task_serializer": "json",
            "accept_content": ["json"],
            "task_ignore_result": True,
            "task_queues": [Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]
            "task_default_queue": QUEUES[0],
            "task_create_missing_queues": False,
            "task_send_sent_event": False,
            "task_publish_retry": True,
            "task_publish_retry_policy": {
                "max_retries": 1,
                "interval_start": 0.1,
                "interval_step": 0.1,
                "interval_max": 0.2,
            },
        },
    )
