"""The Celery application of the workers: `celery -A rollbook_worker.app worker -Q default`.

Wiring only: which broker, which queues, which settings and why. Producers need none of this; they send by task name.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger, celeryd_init, worker_init
from kombu.entity import Exchange, Queue

from rollbook_shared.broker_url import for_kombu
from rollbook_shared.errors import NotConfigured, Undecodable
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.routing import DEFAULT_QUEUE, QUEUES, TASK_PREFIX
from rollbook_shared.jobs.summaries import summarize
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.settings import Settings, TransportKind
from rollbook_worker.celery_ext.consumer import CONSUMER
from rollbook_worker.celery_ext.garbage_collection import collect_rarely
from rollbook_worker.celery_ext.pool import stop_soon
from rollbook_worker.celery_ext.transport import Connection
from rollbook_worker.health.bootsteps import add_health
from rollbook_worker.observability.logs import log_as_set, need_formatter, print_no_banner
from rollbook_worker.store.retry import RETRY

TIME_LIMIT_SECONDS: Final = 60


class RollbookCelery(Celery):  # type: ignore[misc]  # Celery ships no types
    """Shows a summary of each job to whoever watches, never its body; for jobs sent on from a worker too, such as
    retries.
    """

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if name.startswith(TASK_PREFIX):
            options |= {"argsrepr": _shown(args), "kwargsrepr": "{}"}
        return super().send_task(name, args, kwargs, **options)

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Consume through our transport. What is sent, and what Flower and `celery inspect` open, is stock."""
        connection = super().connection_for_read(url, **options)
        return connection if self.conf.rollbook_transport == TransportKind.STOCK else Connection.like(connection)


def _shown(args: Any) -> str:
    try:
        return f"({summarize(decode(args[0]))})"
    except (Undecodable, TypeError, LookupError):
        return "(not a job)"


def _queue(name: str) -> Queue:
    # an exchange each: left to Celery, all queues would be bound to the default one under the same key
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def make_app(settings: Settings) -> RollbookCelery:
    """The application for these settings."""
    app = RollbookCelery("rollbook", include=["rollbook_worker.tasks"])
    broker_url, said = for_kombu(settings.broker_url) if settings.broker_url else (None, {})
    app.conf.update(
        # not broker_url: a CELERY_BROKER_URL meant for the application would override it
        broker_read_url=broker_url,
        broker_write_url=broker_url,
        # JSON only: a pickled message is rejected before it is opened
        task_serializer="json",
        accept_content=["json"],
        # outcomes are in Postgres; a result backend would only cost
        task_ignore_result=True,
        # acknowledged after the commit: a worker that dies in between leaves the job to another
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=TIME_LIMIT_SECONDS,
        # what is ended for its time is not done either, nor is what failed: see `failing`
        task_acks_on_timeout=False,
        task_acks_on_failure=False,
        task_queues=[_queue(name) for name in QUEUES],
        task_default_queue=DEFAULT_QUEUE,
        task_create_missing_queues=False,
        # what is no job becomes a dead letter; Celery would write it into the log, and drop it
        worker_consumer=CONSUMER,
        rollbook_batch=settings.batch_size,
        rollbook_health_file=settings.health_file,
        # Held at once, for each thread: the batch that it applies, and the next, which gathers meanwhile. More would
        # only keep jobs from other workers.
        worker_prefetch_multiplier=2 * settings.batch_size if settings.batch_size > 1 else 16,
        # Meant for jobs that run for long: after each reconnection it would leave batches too small for a while.
        worker_enable_prefetch_count_reduction=False,
        worker_disable_rate_limits=True,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        # a thread at work cannot be cancelled, and its job is safe to run again
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # a Redis that is a replica now, or whose disk is full: as good as away, and back some day
        broker_channel_error_retry=True,
        rollbook_transport=settings.transport,
        broker_transport_options={
            "max_deliveries": settings.max_deliveries,
            # Of the stock transport, which never renews it: longer than any job and any pause before a retry together.
            # Ours has a shorter `lease`, and renews it.
            "visibility_timeout": 2 * (TIME_LIMIT_SECONDS + RETRY.longest),
            # stock waits 100 s between sweeps, and 5 minutes for a sweeper that died
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 15,
            "priority_steps": [0],
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 25,
            **said,
        },
    )
    add_health(app)
    return app


def _app_from_env() -> RollbookCelery:
    """Celery looks for the application in several places, and shows whatever is raised there as a traceback; of a
    setting that cannot be used its commands are to say one line.
    """
    try:
        return make_app(Settings.from_env())
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


app: Final = _app_from_env()


def need_settings(**_: Any) -> None:
    """Refuse to start a worker that lacks a URL: Celery would look for another broker, and fail each job for want of a
    database; or that lacks what its log is to be made by. Serve metrics, if they are wanted.
    """
    try:
        settings = Settings.from_env()
        settings.need_broker_url()
        settings.need_database_url()
        need_formatter(settings)
        if serve_metrics(settings):
            from rollbook_worker.observability.metrics import counting

            counting()
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


def hide_arguments(**_: Any) -> None:
    """Keep Celery's pools from writing what they are given into a log at DEBUG: it is the job."""
    logging.getLogger("celery.pool").setLevel(logging.INFO)


celeryd_init.connect(need_settings)
worker_init.connect(stop_soon)
celeryd_init.connect(hide_arguments)
celeryd_init.connect(print_no_banner)
after_setup_logger.connect(log_as_set)
after_setup_task_logger.connect(log_as_set)
celeryd_init.connect(collect_rarely)
