"""Recognizes the messages of our own publishers, which are nearly all that a worker gets.

All that a batch needs of such a message is a few of its headers and the job. kombu's message and most of Celery's
request, which take longer than the job itself, are made only when something asks for them. A message that is unusual in
anything goes the long way, which also says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import ItemsView
from typing import Any, Final

import orjson

from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.observability.tracing import PARENT, STATE
from rollbook_worker.celery_ext.transport.plain_message import JSON

MAX_HEADER: Final = 10_000
"""Characters of a header. Tracers' are the largest; baggage has at most 8,192 bytes (W3C)."""
ARGUMENTS: Final = ("[", "('", '("', "(b", "([", "({", "(<")
"""How Python writes arguments; our summaries begin in another way."""
_ENVELOPE: Final = {"content-encoding": "utf-8", "content-type": JSON}.items()
_HEADERS: Final[ItemsView[str, object]] = {
    "lang": "py",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "parent_id": None,
    "kwargsrepr": "",
    "ignore_result": True,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}.items()
"""Those that ask for nothing."""
_NAMES: Final = {name for name, _ in _HEADERS} | {"task", "id", "root_id", "argsrepr", "origin", PARENT, STATE}
_PLACE: Final = {"exchange", "routing_key"}
_NOTHING_FOLLOWS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def usual_job(envelope: Any, size: int) -> str | None:
    """The job in a message of ours, as it was sent; None if the message is unusual.

    envelope: kombu's, as it is in Redis, decoded.
    size: bytes of the message.
    """
    if size > MAX_HEADER:  # one of its headers may be too long
        return None
    try:
        headers, properties, body = envelope["headers"], envelope["properties"], envelope["body"]
        id_ = headers["id"]
        is_usual = (
            headers.items() >= _HEADERS
            and headers.keys() <= _NAMES
            and headers["root_id"] == id_
            and JOB_ID.fullmatch(id_)
            and not headers["argsrepr"].startswith(ARGUMENTS)
            and envelope.items() >= _ENVELOPE
            and "body_encoding" not in properties
            and properties["delivery_info"].keys() == _PLACE
        )
        arguments, named, following = orjson.loads(body)
        (job,) = arguments
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    return job if is_usual and type(job) is str and named == {} and following == _NOTHING_FOLLOWS else None
