"""Asks Celery workers whether they run."""

from __future__ import annotations

from collections.abc import Collection

from celery import Celery
from kombu.exceptions import OperationalError

from rollbook_ops.devstack.errors import ServerFailed
from rollbook_shared.broker_url import for_kombu

_REPLY_SECONDS = 0.5
"""How long to wait for replies. The caller asks the other workers again."""


def responding_workers(broker_url: str, names: Collection[str]) -> set[str]:
    """Return which of the workers `names` reply to a ping, and so consume jobs.

    Raises:
        ServerFailed: the broker is not available.
    """
    url, options = for_kombu(broker_url)
    with Celery(set_as_current=False, fixups=set()) as app:
        # Not `broker_url`: an application's CELERY_BROKER_URL would override that.
        app.conf.broker_read_url = app.conf.broker_write_url = url
        app.conf.broker_transport_options = {"socket_connect_timeout": 5, "socket_timeout": 5, **options}
        # One connection for everything: Celery's pools would reuse a connection for the next ping even if it is broken.
        app.control.mailbox._producer_pool = None
        # Only workers that listen now receive a broadcast: a worker that is still starting misses it.
        try:
            with app.connection_for_write() as connection:
                replies = app.control.broadcast(
                    "ping",
                    destination=sorted(names),
                    connection=connection,
                    reply=True,
                    timeout=_REPLY_SECONDS,
                    limit=len(names),
                )
        except OperationalError as error:
            raise ServerFailed(f"the broker is not available ({error})") from None
    return {name for reply in replies or () for name in reply}
