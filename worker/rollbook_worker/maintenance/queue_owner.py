"""Whether the queues in Redis belong to the database that maintenance cares for."""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisError

from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import NotConfigured
from rollbook_shared.queue_owner import describe_foreign_owner, find_owner
from rollbook_shared.settings import Settings

_CONNECT_SECONDS: Final = 3
_ANSWER_SECONDS: Final = 5


class ForeignQueues(NotConfigured):
    """The queues in Redis belong to another database."""


def check_queue_owner(settings: Settings) -> None:
    """Compare the store id beside the queues with that of the database. A Redis that is away is no finding.

    Raises:
        ForeignQueues: they differ.
        Unavailable, NotConfigured: the database could not be asked.
    """
    if not settings.broker_url:
        return
    endpoint = parse_broker_url(settings.broker_url)[0]
    try:
        with endpoint.client(connect_seconds=_CONNECT_SECONDS, answer_seconds=_ANSWER_SECONDS) as client:
            owner = find_owner(client)
    except (RedisError, OSError):
        return
    if owner is None:
        return
    store_id = read_store_id(settings.need_database_url(), settings.schema)
    if owner != store_id:
        raise ForeignQueues(describe_foreign_owner(owner, store_id))
