"""The names of kombu, Celery, billiard and Flower that we rely on without a promise: private or overridden.

These projects may change such names in any version. `pyproject.toml` pins the minor versions of Celery and kombu, and
tests/transport/test_privates.py compares every name below with what is installed. After an upgrade the test names what
has changed: read the change, adapt the file in `used_by`, then this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kombu import connection, pidbox
from kombu.transport import redis, virtual
from kombu.utils import json

# kombu has types for some of its parameters only
Connection: Any = connection.Connection
Transport: Any = redis.Transport
SentinelTransport: Any = redis.SentinelTransport
Channel: Any = redis.Channel
SentinelChannel: Any = redis.SentinelChannel
MultiChannelPoller: Any = redis.MultiChannelPoller
QoS: Any = redis.QoS
VirtualMessage: Any = virtual.Message
Mailbox: Any = pidbox.Mailbox
loads: Any = json.loads


@dataclass(frozen=True, slots=True)
class UpstreamName:
    """A name of another project. `owner` is its module, and its class if it has one: `kombu.connection:Connection`."""

    owner: str
    name: str
    used_by: str
    """A file under `worker/rollbook_worker` or `producer/rollbook_ops`."""
    signature: str | None = None
    """Of a function that we override or call. `...` stands for a default value that is not a literal, and at the end
    for further parameters."""


def _functions(owner: str, used_by: str, **signatures: str) -> tuple[UpstreamName, ...]:
    return tuple(UpstreamName(owner, name, used_by, signature) for name, signature in signatures.items())


def _attributes(owner: str, used_by: str, names: str) -> tuple[UpstreamName, ...]:
    """Attributes of the class, or those that its methods set."""
    return tuple(UpstreamName(owner, name, used_by) for name in names.split())


_REDIS: Final = "kombu.transport.redis"
_CONSUMER: Final = "celery.worker.consumer.consumer:Consumer"
_REQUEST: Final = "celery.worker.request:Request"

UPSTREAM_NAMES: Final[tuple[UpstreamName, ...]] = (
    # kombu: the transport
    *_functions(
        "kombu.connection:Connection",
        "celery_ext/transport/transport.py",
        get_transport_cls="(self)",
        info="(self)",
    ),
    *_attributes("kombu.connection:Connection", "celery_ext/transport/transport.py", "transport_cls"),
    *_functions(
        f"{_REDIS}:Transport",
        "celery_ext/transport/transport.py",
        register_with_event_loop="(self, connection, loop)",
    ),
    *_attributes(f"{_REDIS}:Transport", "celery_ext/transport/transport.py", "Channel cycle default_port"),
    *_functions(
        f"{_REDIS}:Channel",
        "celery_ext/transport/channel.py",
        basic_consume="(self, queue, *args, **kwargs)",
        basic_get="(self, queue, no_ack=False, **kwargs)",
        _deliver_fanout_message="(self, message, exchange)",
        _basic_cancel="(self, consumer_tag)",
        _queue_bind="(self, exchange, routing_key, pattern, queue)",
        _size="(self, queue)",
        _q_for_pri="(self, queue, pri)",
        conn_or_acquire="(self, client=None)",
        _brpop_start="(self, timeout=None)",
        _brpop_read="(self, **options)",
        _connparams="(self, asynchronous=False)",
        close="(self)",
    ),
    *_attributes(
        f"{_REDIS}:Channel",
        "celery_ext/transport/channel.py",
        "QoS Message from_transport_options health_check_interval priority_steps active_queues connection_errors"
        " _in_poll _brpop_sent_at _tag_to_queue _active_queues qos pool client closed",
    ),
    *_attributes(
        f"{_REDIS}:Channel",
        "celery_ext/transport/queue_scripts.py",
        "global_keyprefix unacked_key unacked_index_key sep visibility_timeout",
    ),
    *_attributes(f"{_REDIS}:Channel", "celery_ext/transport/in_flight.py", "connection"),
    *_functions(
        f"{_REDIS}:MultiChannelPoller",
        "celery_ext/transport/poller.py",
        on_poll_start="(self)",
        get="(self, callback, timeout=None)",
        close="(self)",
        maybe_check_brpop_health="(self)",
        maybe_restore_messages="(self)",
        _register="(self, channel, client, type)",
        _register_BRPOP="(self, channel)",
    ),
    *_attributes(
        f"{_REDIS}:MultiChannelPoller", "celery_ext/transport/poller.py", "_channels _in_protected_read after_read"
    ),
    *_functions(
        f"{_REDIS}:QoS",
        "celery_ext/transport/in_flight.py",
        append="(self, message, delivery_tag)",
        ack="(self, delivery_tag)",
        reject="(self, delivery_tag, requeue=False)",
        restore_visible="(self, start=0, num=10, interval=10)",
        restore_unacked="(self, client=None)",
    ),
    *_functions(
        "kombu.transport.virtual:QoS",
        "celery_ext/transport/in_flight.py",
        can_consume="(self)",
        can_consume_max_estimate="(self)",
        restore_unacked_once="(self, stderr=None)",
    ),
    *_attributes(f"{_REDIS}:QoS", "celery_ext/transport/in_flight.py", "_delivered _vrestore_count channel"),
    *_functions("kombu.utils.json", "celery_ext/transport/claimed_messages.py", loads="(s, _loads=..., ...)"),
    *_functions(
        "kombu.transport.virtual:Message",
        "celery_ext/transport/plain_message.py",
        __init__="(self, payload, channel=None, **kwargs)",
    ),
    *_functions("kombu.message:Message", "celery_ext/transport/plain_message.py", ack="(self, multiple=False)"),
    *_attributes(
        "kombu.message:Message",
        "celery_ext/transport/plain_message.py",
        "_decoded_cache _state accept body channel content_encoding content_type delivery_info delivery_tag errors"
        " headers properties",
    ),
    *_attributes("kombu.transport.virtual:Message", "celery_ext/transport/plain_message.py", "_raw"),
    # kombu: the event loop
    *_functions(
        "kombu.asynchronous.hub:Hub",
        "celery_ext/signals.py",
        add_reader="(self, fds, callback, *args)",
        remove_reader="(self, fd)",
        call_soon="(self, callback, *args)",
        call_repeatedly="(self, delay, callback, *args)",
    ),
    *_attributes("kombu.asynchronous.hub:Hub", "celery_ext/event_dispatcher.py", "on_close"),
    *_functions(
        "kombu.asynchronous.timer:Timer",
        "celery_ext/batching/runner.py",
        call_after="(self, secs, fun, args=(), kwargs=None, priority=0)",
        call_repeatedly="(self, secs, fun, args=(), kwargs=None, priority=0)",
    ),
    *_functions(
        "kombu.common:QoS",
        "celery_ext/batching/runner.py",
        increment_eventually="(self, n=1)",
        decrement_eventually="(self, n=1)",
    ),
    *_functions(
        "kombu.message:Message",
        "celery_ext/batching/runner.py",
        ack_log_error="(self, logger, errors, multiple=False)",
    ),
    *_attributes("kombu.pidbox:Mailbox", "devstack/workers.py", "_producer_pool"),
    *_functions(
        "kombu.pidbox:Mailbox",
        "celery_ext/remote_control.py",
        Node="(self, hostname=None, state=None, channel=None, handlers=None)",
        _publish_reply="(self, reply, exchange, routing_key, ticket, channel=None, producer=None, **opts)",
    ),
    # Celery: the application and the consumer
    *_functions(
        "celery.app.base:Celery",
        "app.py",
        connection_for_read="(self, url=None, **kwargs)",
        send_task="(self, name, args=None, kwargs=None, ...)",
    ),
    *_attributes("celery.app.control:Control", "celery_ext/remote_control.py", "Mailbox"),
    *_functions("celery.local:Proxy", "celery_ext/batching/batch.py", _get_current_object="(self)"),
    *_functions(
        _CONSUMER,
        "celery_ext/consumer.py",
        update_strategies="(self)",
        create_task_handler="(self, promise=...)",
        on_unknown_task="(self, body, message, exc)",
        on_invalid_task="(self, body, message, exc)",
        on_decode_error="(self, message, exc)",
    ),
    *_attributes(_CONSUMER, "celery_ext/consumer.py", "strategies loop hub pool connection_errors channel_errors"),
    *_attributes(
        _CONSUMER,
        "celery_ext/batching/runner.py",
        "app blueprint controller hostname initial_prefetch_count on_task_request restart_count timer",
    ),
    # Set on the consumer by its boot steps.
    *_attributes("celery.worker.consumer.events:Events", "celery_ext/batching/runner.py", "event_dispatcher"),
    *_attributes("celery.worker.consumer.tasks:Tasks", "celery_ext/batching/runner.py", "qos"),
    *_attributes("celery.worker.consumer.tasks:Tasks", "celery_ext/consumer.py", "task_consumer"),
    *_attributes(_CONSUMER, "celery_ext/batching/strategy.py", "disable_rate_limits on_task_message task_buckets"),
    *_functions(_CONSUMER, "celery_ext/batching/strategy.py", call_soon_ack="(self, p, *args, **kwargs)"),
    *_functions("celery.worker.state", "celery_ext/signals.py", maybe_shutdown="()"),
    *_attributes("celery.worker.state", "celery_ext/batching/runner.py", "active_requests revoked"),
    # Set on the worker by its boot step for pools.
    *_attributes("celery.worker.components:Pool", "celery_ext/batching/runner.py", "_quick_acquire"),
    # Celery: a job in a worker
    *_functions(
        _REQUEST,
        "celery_ext/request.py",
        info="(self, safe=False)",
        on_failure="(self, exc_info, send_failed_event=True, return_ok=False)",
        on_timeout="(self, soft, timeout)",
        send_event="(self, type, **fields)",
        acknowledge="(self)",
    ),
    *_attributes(_REQUEST, "celery_ext/request.py", "on_reject message id name argsrepr time_start task _eventer"),
    *_functions(
        _REQUEST,
        "celery_ext/batching/runner.py",
        send_event="(self, type, **fields)",
    ),
    *_functions(
        _REQUEST,
        "celery_ext/batching/request.py",
        __init__="(self, message, on_ack=..., hostname=None, eventer=None, app=None, connection_errors=None,"
        " request_dict=None, task=None, on_reject=..., body=None, headers=None, decoded=False, utc=True, ...)",
        on_accepted="(self, pid, time_accepted)",
        revoked="(self)",
        terminate="(self, pool, signal=None)",
    ),
    *_attributes(
        _REQUEST,
        "celery_ext/batching/request.py",
        "_already_revoked _argsrepr _body _eventer _message _on_ack _on_reject _task _terminate_on_ack _type",
    ),
    *_attributes(
        "celery.worker.state",
        "celery_ext/batching/request.py",
        "active_requests all_total_count requests reserved_requests revoked revoked_stamps total_count",
    ),
    *_attributes(
        _REQUEST, "celery_ext/batching/runner.py", "_already_revoked acknowledged time_start worker_pid id name"
    ),
    *_attributes(
        _REQUEST,
        "celery_ext/batching/strategy.py",
        "argsrepr expires",
    ),
    *_functions(
        "celery.worker.request",
        "celery_ext/batching/strategy.py",
        create_request_cls="(base, task, pool, hostname, eventer, ...)",
    ),
    *_functions("celery.worker.strategy", "celery_ext/batching/strategy.py", default="(task, app, consumer, ...)"),
    *_functions(
        "celery.app.trace",
        "celery_ext/batching/batch.py",
        trace_task="(task, uuid, args, kwargs, request=None, **opts)",
    ),
    *_functions(
        "celery.events.dispatcher:EventDispatcher",
        "celery_ext/event_dispatcher.py",
        send="(self, type, blind=False, utcoffset=..., retry=False, retry_policy=None, Event=..., **fields)",
        flush="(self, errors=True, groups=True)",
        _publish="(self, event, producer, routing_key, retry=False, retry_policy=None, utcoffset=...)",
    ),
    *_attributes(
        "celery.events.dispatcher:EventDispatcher",
        "celery_ext/event_dispatcher.py",
        "_closed _group_buffer _outbound_buffer buffer_group buffer_while_offline clock delivery_mode enabled exchange"
        " groups headers hostname mutex pid producer",
    ),
    *_attributes("celery.app.events:Events", "celery_ext/event_dispatcher.py", "dispatcher_cls"),
    *_attributes("celery.app.base:Celery", "celery_ext/event_dispatcher.py", "events_cls"),
    *_functions(
        f"{_REDIS}:Channel",
        "celery_ext/event_dispatcher.py",
        _inplace_augment_message="(self, message, exchange, routing_key)",
        _get_publish_topics="(self, exchange, routing_key)",
        conn_or_acquire="(self, client=None)",
        prepare_message="(self, body, priority=None, content_type=None, content_encoding=None, headers=None,"
        " properties=None)",
    ),
    *_attributes(
        "celery.events.dispatcher:EventDispatcher", "celery_ext/event_dispatcher.py", "buffer_limit on_send_buffered"
    ),
    # Pools
    *_functions(
        "celery.concurrency.base:BasePool",
        "celery_ext/batching/runner.py",
        apply_async="(self, target, args=None, kwargs=None, **options)",
    ),
    *_attributes("celery.concurrency.base:BasePool", "celery_ext/batching/runner.py", "num_processes uses_semaphore"),
    *_attributes("celery.concurrency.prefork:TaskPool", "celery_ext/batching/watchdog.py", "_pool"),
    *_attributes("celery.concurrency.prefork:TaskPool", "celery_ext/processes.py", "_pool"),
    *_attributes("billiard.pool:Pool", "celery_ext/batching/watchdog.py", "_pool _cache"),
    *_attributes("billiard.pool:Pool", "celery_ext/processes.py", "_pool"),
    *_attributes("billiard.pool:Worker", "celery_ext/processes.py", "outq"),
    *_attributes("billiard.process:BaseProcess", "celery_ext/processes.py", "_popen"),
    *_attributes("billiard.queues:_SimpleQueue", "celery_ext/processes.py", "_writer"),
    *_attributes("billiard.pool:ApplyResult", "celery_ext/batching/watchdog.py", "_worker_pid _accepted"),
    *_functions("billiard.process:BaseProcess", "celery_ext/batching/watchdog.py", _is_alive="(self)"),
    *_attributes(
        "billiard.pool",
        "celery_ext/processes.py",
        "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL",
    ),
    # Flower
    *_functions("flower.views:BaseHandler", "dashboard/handlers.py", get_active_queue_names="(self)"),
    *_attributes("flower.views.broker", "dashboard/handlers.py", "BrokerView"),
    *_attributes("flower.api.tasks", "dashboard/handlers.py", "GetQueueLengths"),
    *_attributes("flower.views.monitor", "dashboard/handlers.py", "Metrics"),
    *_attributes("flower.urls", "dashboard/handlers.py", "handlers"),
    *_attributes("flower.command", "dashboard/server.py", "Flower sigterm_handler"),
    *_functions("flower.app:Flower", "dashboard/server.py", start="(self)", stop="(self)"),
    # The boot steps that ours need
    *_attributes("celery.worker.components", "health/bootsteps.py", "Timer"),
    *_attributes("celery.worker.consumer.tasks", "health/bootsteps.py", "Tasks"),
)
