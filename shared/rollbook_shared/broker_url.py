"""The broker's URL: as kombu takes it, and `?master_name=`, which kombu does not. Read alike by those who send jobs and
by those who apply them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from rollbook_shared.errors import NotConfigured

_UNREADABLE: Final = (
    "the broker's URL cannot be used; it must be like redis://:password@127.0.0.1:6379/0, without blanks, with the "
    "number of a database, and in the password %2F in place of a slash, %23 of #, %3F of ?"
)


def for_kombu(url: str) -> tuple[str, dict[str, str]]:
    """The URL, or several with `;` between them, and the options of the transport that it said.

    `sentinel://10.0.0.1:26379/0;sentinel://10.0.0.2:26379/0?master_name=main`: of which master the sentinels are asked
    is an option to kombu. It may stand at any of them.

    Raises:
        NotConfigured: it is none that can be read. What it holds is not told, for there may be a password in it.
    """
    for server in url.split(";"):
        if server.partition("?")[0]:  # behind a last semicolon there is none
            _check(server)
    if not is_sentinel(url):
        return url, {}
    parts = [server.partition("?") for server in url.split(";")]
    said = dict(parse_qsl("&".join(query for _, _, query in parts)))
    return ";".join(plain for plain, _, _ in parts), {name: said[name] for name in ("master_name",) if name in said}


def _check(url: str) -> None:
    """Refuse what kombu would read otherwise than it was meant, or refuse in the words of the URL, password and all."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise NotConfigured(_UNREADABLE) from None
    where = parts.path.strip("/")
    is_file = "socket" in parts.scheme
    if url != url.strip() or not parts.scheme or parts.fragment or not (is_file or not where or where.isdigit()):
        raise NotConfigured(_UNREADABLE)


def is_sentinel(url: str) -> bool:
    """Whether the URL names sentinels, who know where Redis is, rather than Redis."""
    return url.startswith("sentinel://")


@contextmanager
def client_of(connection: Any) -> Iterator[Any]:
    """A plain client of the Redis that this connection of kombu's leads to, whatever its URL: of Sentinel, the master.

    Connects at once and not by `connection.connect()`, which pauses for seconds between tries of its own.

    Raises:
        kombu.exceptions.KombuError, redis.exceptions.RedisError, OSError: it cannot be reached.
    """
    transport = connection.transport.establish_connection()
    try:
        with transport.create_channel(transport).conn_or_acquire() as client:
            yield client
    finally:
        transport.close_connection(transport)
