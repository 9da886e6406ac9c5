"""The Celery application of the workers, which `rollbook worker` starts, and `celery -A rollbook_worker.app worker`.

Wiring only: which broker, which queues, which settings and why. Clients do not need it; they publish by task name.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any, Final

from celery import Celery
from celery.signals import (
    after_setup_logger,
    after_setup_task_logger,
    celeryd_after_setup,
    celeryd_init,
    worker_init,
)
from kombu.entity import Exchange, Queue

from rollbook_shared.broker_url import BrokerEndpoint, for_kombu, parse_broker_url
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import NotConfigured, Undecodable
from rollbook_shared.jobs.celery_task import DEFAULT_QUEUE, QUEUES, TASK_PREFIX, summarize
from rollbook_shared.jobs.codec import decode
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.registry import RegistryFile
from rollbook_shared.settings import Settings, TransportKind
from rollbook_worker.celery_ext.consumer import CONSUMER
from rollbook_worker.celery_ext.event_dispatcher import EVENTS
from rollbook_worker.celery_ext.pools import check_pool
from rollbook_worker.celery_ext.processes import shorten_stop, tune_garbage_collector
from rollbook_worker.celery_ext.remote_control import CONTROL
from rollbook_worker.celery_ext.transport import LeasedConnection
from rollbook_worker.erasure_key import check_erasure_key
from rollbook_worker.health.bootsteps import add_health
from rollbook_worker.health.reports import add_reports
from rollbook_worker.observability.logs import check_formatter, hide_banner, set_formatter
from rollbook_worker.store.retry import RETRY
from rollbook_worker.store.store_id import StoreId

TIME_LIMIT_SECONDS: Final = 60


class RollbookCelery(Celery):  # type: ignore[misc]  # Celery ships no types
    """Celery with our transport, which shows monitoring a summary of each job and never its body. The summary also goes
    with the jobs that a worker sends, such as retries. Its workers obey no remote command that changes something.
    """

    control_cls = CONTROL
    events_cls = EVENTS
    store_id: StoreId | None = None
    """The id of the database whose jobs the workers take."""
    broker_endpoints: tuple[BrokerEndpoint, ...] = ()
    """Where the workers report."""

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if name.startswith(TASK_PREFIX):
            options |= {"argsrepr": _summary(args), "kwargsrepr": "{}"}
        return super().send_task(name, args, kwargs, **options)

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Consume through our transport. Publishing, Flower and `celery inspect` use the stock transport."""
        connection = super().connection_for_read(url, **options)
        if self.conf.rollbook_transport == TransportKind.STOCK:
            return connection
        return LeasedConnection.like(connection, store_id=self.store_id)


def _summary(args: Any) -> str:
    try:
        return f"({summarize(decode(args[0]))})"
    except (Undecodable, TypeError, LookupError):
        return "(not a job)"


def _queue(name: str) -> Queue:
    # with an exchange of its own: Celery would bind all queues to the default exchange under the same key
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def make_app(settings: Settings) -> RollbookCelery:
    """The application for these settings."""
    app = RollbookCelery("rollbook", include=["rollbook_worker.tasks"])
    if settings.database_url:
        app.store_id = StoreId(partial(read_store_id, settings.database_url, settings.schema))
    broker_url, url_options = for_kombu(settings.broker_url) if settings.broker_url else (None, {})
    app.conf.update(
        # not broker_url: a CELERY_BROKER_URL meant for the application would override it
        broker_read_url=broker_url,
        broker_write_url=broker_url,
        # JSON only: a pickled message is rejected before it is opened
        task_serializer="json",
        accept_content=["json"],
        # outcomes are in Postgres; a result backend would only add cost
        task_ignore_result=True,
        # acknowledged after the commit: if the worker dies in between, another one applies the job again
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=TIME_LIMIT_SECONDS,
        # a job that was killed at its time limit is not done, nor is one that failed: see `celery_ext.request`
        task_acks_on_timeout=False,
        task_acks_on_failure=False,
        task_queues=[_queue(name) for name in QUEUES],
        task_default_queue=DEFAULT_QUEUE,
        task_create_missing_queues=False,
        # a message that is not a job becomes a dead letter; Celery would write it into the log and drop it
        worker_consumer=CONSUMER,
        rollbook_batch=settings.batch_size,
        rollbook_health_file=settings.health_file,
        # In flight, per thread: the batch that it applies, and the next one, which fills up meanwhile. More would only
        # keep jobs from other workers.
        worker_prefetch_multiplier=2 * settings.batch_size if settings.batch_size > 1 else 16,
        # Meant for long tasks: after each reconnection it would make batches too small for a while.
        worker_enable_prefetch_count_reduction=False,
        worker_disable_rate_limits=True,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        # a busy thread cannot be cancelled, and its job is safe to run again
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # a Redis that is a replica now, or whose disk is full, counts as away; it will come back
        broker_channel_error_retry=True,
        rollbook_transport=settings.transport,
        broker_transport_options={
            "max_deliveries": settings.max_deliveries,
            # For the stock transport, which never renews it: longer than any job and any delay of a retry together.
            # Our transport has a shorter `lease`, and renews it.
            "visibility_timeout": 2 * (TIME_LIMIT_SECONDS + RETRY.longest),
            # the stock transport waits 100 s between restores, and 5 minutes for a worker that died during one
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 15,
            "priority_steps": [0],
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 25,
            **url_options,
        },
    )
    add_health(app)
    add_reports(app, parse_broker_url(settings.broker_url) if settings.broker_url else ())
    return app


def _app_from_env() -> RollbookCelery:
    """Celery looks for the application in several places and shows any exception there as a traceback. For a wrong
    setting its commands should print one line.
    """
    try:
        return make_app(Settings.from_env())
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


app: Final = _app_from_env()


def check_settings(**_: Any) -> None:
    """Do not start a worker without a broker URL (Celery would look for another broker), a database URL (each job would
    fail), or the extra that its log format needs, or with an invalid registry. Serve metrics, if there is a port for
    them.
    """
    try:
        settings = Settings.from_env()
        settings.need_broker_url()
        settings.need_database_url()
        RegistryFile(settings.registry)
        check_formatter(settings)
        if serve_metrics(settings):
            from rollbook_worker.observability.metrics import worker_metrics

            worker_metrics()
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


def reject_pool(conf: Any, options: Any, **_: Any) -> None:
    """Do not start a worker with a pool that it cannot run with."""
    try:
        check_pool(options.get("pool") or options.get("pool_cls") or conf.worker_pool)
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


def reject_queue(conf: Any, options: Any, **_: Any) -> None:
    """Do not start a worker for a queue that the application does not have. Celery's own error advises a setting that
    would make the queue, which no job goes to.
    """
    asked = () if conf.task_create_missing_queues else options.get("queues") or ()
    known = [queue.name for queue in conf.task_queues or ()]
    if unknown := [name for name in (asked.split(",") if isinstance(asked, str) else asked) if name not in known]:
        sys.exit(f"rollbook: there is no queue {unknown[0]}; the queues are {' and '.join(known)}")


def check_key(**_: Any) -> None:
    """Do not start a worker whose erasure keys are not those of the database's receipts."""
    try:
        check_erasure_key(Settings.from_env())
    except NotConfigured as error:
        sys.exit(f"rollbook: {error}")


def hide_arguments(**_: Any) -> None:
    """At DEBUG Celery's pools would write their arguments into the log: the job."""
    logging.getLogger("celery.pool").setLevel(logging.INFO)


celeryd_init.connect(check_settings)
celeryd_init.connect(reject_pool)
celeryd_init.connect(reject_queue)
worker_init.connect(shorten_stop)
celeryd_init.connect(hide_arguments)
celeryd_init.connect(hide_banner)
after_setup_logger.connect(set_formatter)
after_setup_task_logger.connect(set_formatter)
celeryd_init.connect(tune_garbage_collector)
celeryd_after_setup.connect(check_key)  # when logs are set up
