"""What we take from kombu: the classes ours come from, and the names in them that are not public.

kombu keeps no promise about those. `kombu==5.7.*` is pinned, and tests/transport/test_kombu.py fails with the name when
an upgrade changes one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kombu import connection
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
VirtualQoS: Any = virtual.QoS
loads: Any = json.loads

RELIED_ON: Final[Mapping[str, str]] = {
    "Connection.get_transport_cls": "(self)",
    "Connection.info": "(self)",
    "Transport.register_with_event_loop": "(self, connection, loop)",
    "Channel.basic_consume": "(self, queue, *args, **kwargs)",
    "Channel._basic_cancel": "(self, consumer_tag)",
    "Channel._queue_bind": "(self, exchange, routing_key, pattern, queue)",
    "Channel._size": "(self, queue)",
    "Channel._q_for_pri": "(self, queue, pri)",
    "Channel.conn_or_acquire": "(self, client=None)",
    "Channel._brpop_start": "(self, timeout=None)",
    "Channel._brpop_read": "(self, **options)",
    "Channel._connparams": "(self, asynchronous=False)",
    "Channel.close": "(self)",
    "MultiChannelPoller.on_poll_start": "(self)",
    "MultiChannelPoller.get": "(self, callback, timeout=None)",
    "MultiChannelPoller.maybe_check_brpop_health": "(self)",
    "MultiChannelPoller.maybe_restore_messages": "(self)",
    "MultiChannelPoller._register_BRPOP": "(self, channel)",
    "QoS.restore_visible": "(self, start=0, num=10, interval=10)",
    "QoS.restore_unacked": "(self, client=None)",
    "VirtualQoS.append": "(self, message, delivery_tag)",
    "VirtualQoS.ack": "(self, delivery_tag)",
    "VirtualQoS.can_consume": "(self)",
    "VirtualQoS.can_consume_max_estimate": "(self)",
    "VirtualQoS.restore_unacked_once": "(self, stderr=None)",
}
"""What we override or call, and how it is called."""

KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "Channel": ("_in_poll", "_brpop_sent_at", "_tag_to_queue", "_active_queues", "pool", "client", "closed"),
    "MultiChannelPoller": ("_channels", "_in_protected_read", "after_read"),
    "QoS": ("_delivered", "_dirty", "_vrestore_count"),
}
"""What our classes find kept by kombu's under these names."""
