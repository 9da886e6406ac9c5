"""Ask Celery workers whether they are there."""

from __future__ import annotations

from collections.abc import Collection

from celery import Celery
from kombu.exceptions import OperationalError

from rollbook_ops.devstack.errors import ServerFailed
from rollbook_shared.broker_url import for_kombu

# Seconds for one round; who is silent now is asked again.
_PATIENCE = 0.5


def answering(broker_url: str, names: Collection[str]) -> set[str]:
    """Which of the workers `names` answer a ping, and so take jobs.

    Raises:
        ServerFailed: the broker is not there.
    """
    url, said = for_kombu(broker_url)
    with Celery(set_as_current=False, fixups=set()) as app:
        # Not `broker_url`: an application's CELERY_BROKER_URL would override it.
        app.conf.broker_read_url = app.conf.broker_write_url = url
        app.conf.broker_transport_options = {"socket_connect_timeout": 5, "socket_timeout": 5, **said}
        # A connection of our own for all of it: those of Celery's pools are kept for the next question, cut or not.
        app.control.mailbox._producer_pool = None
        # A broadcast is heard by those who listen now: a worker that is still starting misses it.
        try:
            with app.connection_for_write() as connection:
                replies = app.control.broadcast(
                    "ping",
                    destination=sorted(names),
                    connection=connection,
                    reply=True,
                    timeout=_PATIENCE,
                    limit=len(names),
                )
        except OperationalError as error:
            raise ServerFailed(f"the broker cannot be reached ({error})") from None
    return {name for reply in replies or () for name in reply}
