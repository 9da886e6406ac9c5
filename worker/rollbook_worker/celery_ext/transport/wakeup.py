"""How an idle worker learns that there is a message, without taking it and without asking again and again.

Redis can tell a client when a key changes that it has read ("client tracking"). A claim that finds its queues empty has
just read them, in the same step; so the next message that arrives is told of, whatever the number of queues. The news
comes to a second connection, which the event loop watches: in RESP2 only a subscriber is told things unasked.

Rejected alternatives: BRPOP takes the message before anybody noted who has it, which is how stock loses some. BLMOVE of
a list onto itself is a peek, but at one list: several queues need a connection each, and every idle worker writes to
Redis for each message.
"""

from __future__ import annotations

from typing import Any, Final

from rollbook_worker.celery_ext.transport.script_connection import Line

_NEWS: Final = "__redis__:invalidate"


def listen(connection: Any) -> int:
    """Make this connection one that is told; return its number, for `tell`."""
    connection.send_command("CLIENT", "ID", check_health=False)
    number = int(connection.read_response())
    connection.send_command("SUBSCRIBE", _NEWS, check_health=False)
    connection.read_response()
    return number


def tell(line: Line, number: int) -> None:
    """From now on, tell connection `number` of changes to what this line has read, but for those it makes itself.

    Raises:
        redis.exceptions.ResponseError: this server does not, or not for us.
    """
    line.command("CLIENT", "TRACKING", "ON", "REDIRECT", number, "NOLOOP")


def read_news(connection: Any) -> bool:
    """Read all that has come; tell whether any of it was an answer to a ping."""
    answered = False
    while True:
        kind, *_ = connection.read_response()
        answered = answered or kind == b"pong"
        if not connection.can_read(timeout=0):
            return answered
