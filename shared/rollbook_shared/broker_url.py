"""What the broker's URL means.

The client, the doctor and the gauges connect with redis-py alone; workers connect through kombu. The same URL has to
lead both to the same database with the same password and the same TLS, so a test holds what is parsed here equal to
what kombu computes.

| URL | meaning |
| --- | --- |
| `redis://[user][:password]@host:port/db` | one Redis; with any `?ssl_...=` option over TLS |
| `rediss://...?ssl_cert_reqs=required` | over TLS; without an `ssl_` option no certificate is checked, as in kombu |
| `redis+socket:///path?virtual_host=db` | a Unix socket |
| `url;url` | several servers: when one fails, the next is used |
| `sentinel://host:port/db;sentinel://host:port?master_name=main` | the master that these sentinels name |
"""

from __future__ import annotations

import logging
import pkgutil
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import Sentinel

from rollbook_shared.errors import NotConfigured
from rollbook_shared.loop_timeouts import LoopTimeouts

logger: Final = logging.getLogger("rollbook")

HEALTH_CHECK_SECONDS: Final = 25
"""A connection that was idle for longer is tried with a PING before it is used; the number is kombu's."""
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_LOOPBACK: Final = "127.0.0.1"
_DATABASE: Final = re.compile(r"/{0,2}[0-9]*")
_CERTIFICATE_CHECKS: Final = {
    "CERT_REQUIRED": ssl.CERT_REQUIRED,
    "CERT_OPTIONAL": ssl.CERT_OPTIONAL,
    "CERT_NONE": ssl.CERT_NONE,
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_TLS_FILES: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_ca_path",
        "ssl_certfile",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_password",
        "ssl_validate_ocsp",
        "ssl_validate_ocsp_stapled",
    }
)
_TLS_OPTIONS: Final = _TLS_FILES | {"ssl_cert_reqs", "ssl_check_hostname"}
_IGNORED: Final = frozenset({"connect_timeout", "heartbeat", "insist", "login_method"})
"""kombu accepts these of a URL, and its Redis transport does nothing with them."""
_UNREADABLE: Final = (
    "the broker's URL cannot be used; it must be like redis://:password@127.0.0.1:6379/0, without blanks, with the "
    "number of a database, and in the password %2F in place of a slash, %23 of #, %3F of ?"
)
_NOT_REDIS: Final = "the broker's URL is not one of Redis, such as redis://127.0.0.1:6379/0"
_BAD_OPTION: Final = (
    "the broker's URL has an option, or a value of one, that is not known; options are ssl_cert_reqs (required, "
    "optional or none), ssl_check_hostname, ssl_ca_certs, ssl_certfile, ssl_keyfile, credential_provider; of "
    "redis+socket:// virtual_host and client_name. In a password, write %3F in place of ?"
)
_OPTIONS: Final = {
    "redis": _TLS_OPTIONS | _IGNORED | {"credential_provider"},
    "rediss": _TLS_OPTIONS | _IGNORED | {"credential_provider"},
    "redis+socket": frozenset({"virtual_host", "client_name", "credential_provider"}),
    "sentinel": frozenset({"master_name"}),
}
"""The options of each scheme."""
_INSTEAD: Final = {
    "db": "the number of the database is the path, as in redis://127.0.0.1:6379/0",
    "virtual_host": "the number of the database is the path, as in redis://127.0.0.1:6379/0",
    "password": "the password stands before the host, as in redis://:password@127.0.0.1:6379/0",
    "username": "the user stands before the host, as in redis://user:password@127.0.0.1:6379/0",
    "ssl": "for TLS the scheme is rediss://, and ssl_cert_reqs=required checks the certificate",
    "master_name": "it belongs to sentinel://, which names sentinels",
    "socket_timeout": "Rollbook sets it itself",
    "socket_connect_timeout": "Rollbook sets it itself",
    "health_check_interval": "Rollbook sets it itself",
    "retry_on_timeout": "Rollbook sets it itself",
    "max_connections": "Rollbook sets it itself",
    "decode_responses": "Rollbook sets it itself",
    "protocol": "Rollbook sets it itself",
}
"""Options of other libraries, and what to write in their place."""
_BAD_PROVIDER: Final = (
    "the broker's URL names a credential_provider that cannot be used; it must be the path of a class, such as "
    "package.module:Class, made from redis.CredentialProvider and without arguments"
)

_NOT_ASYNC: Final = "the broker's URL has an ssl_ option that an asynchronous client does not know"


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerEndpoint:
    """One Redis of a URL and how to connect to it. With `sentinels`, the Redis that they name as `master_name`."""

    connection_class: type[Any]
    """One of redis-py's."""
    options: Mapping[str, Any] = field(repr=False)
    """Keyword arguments of the connection class; with a password."""
    sentinels: tuple[tuple[str, int], ...] = ()
    master_name: str = ""

    def pubsub_channel(self, name: str) -> str:
        """What Redis calls a Pub/Sub channel of this database: its databases share them all. The form is Celery's."""
        return f"/{self.options['db']}.{name}"

    def connect(self, *, connect_seconds: float, answer_seconds: float) -> Any:
        """Open a connection. It makes one try of connecting, and one of each command.

        connect_seconds: how long connecting may take.
        answer_seconds: how long sending to the server, and each of its answers, may take.

        Raises:
            redis.exceptions.RedisError, OSError: the server or the sentinels cannot be reached, or reject us.
        """
        connection = self.connection_class(
            **self.parameters(connect_seconds=connect_seconds, answer_seconds=answer_seconds)
        )
        connection.connect()
        return connection

    async def connect_async(self, *, connect_seconds: float) -> Any:
        """Open a connection of `redis.asyncio`, as `connect` does. It bounds no command: the caller does.

        connect_seconds: how long connecting may take, and each answer of a sentinel.

        Raises:
            redis.exceptions.RedisError, OSError: as `connect`.
        """
        parameters = self._parameters(None, None)
        if self.sentinels:
            parameters["host"], parameters["port"] = await self._find_master_async(connect_seconds)
        connection = self._async_class()(**parameters)
        try:
            with LoopTimeouts().limit(connect_seconds, "the broker does not answer"):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    def require_async(self) -> None:
        """Check that `redis.asyncio` knows the options of this URL.

        Raises:
            NotConfigured: it does not.
        """
        try:
            self._async_class()(**self._parameters(None, None))
        except TypeError:
            raise NotConfigured(_NOT_ASYNC) from None

    @contextmanager
    def client(self, *, connect_seconds: float, answer_seconds: float) -> Iterator[redis.Redis]:
        """A client for the length of a `with`. Takes and raises what `connect` does.

        Its first command is a PING, which Redis rejects while it cannot write to its disk.
        """
        pool = redis.ConnectionPool(
            connection_class=self.connection_class,
            **self.parameters(connect_seconds=connect_seconds, answer_seconds=answer_seconds),
        )
        try:
            client = redis.Redis(connection_pool=pool)
            client.ping()
            yield client
        finally:
            pool.disconnect()

    def parameters(self, *, connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
        """The keyword arguments of the connection class. Takes and raises what `connect` does."""
        parameters = self._parameters(connect_seconds, answer_seconds)
        if self.sentinels:
            parameters["host"], parameters["port"] = self._find_master(connect_seconds, answer_seconds)
        return parameters

    def _parameters(self, connect_seconds: float | None, answer_seconds: float | None) -> dict[str, Any]:
        parameters = {
            "socket_timeout": answer_seconds,
            "health_check_interval": HEALTH_CHECK_SECONDS,
            # never retry_on_timeout: redis-py would push again by itself, and take its time
            **self.options,
        }
        if not issubclass(self.connection_class, redis.UnixDomainSocketConnection):
            parameters |= {"socket_connect_timeout": connect_seconds, "socket_keepalive": True}
        return parameters

    def _async_class(self) -> type[Any]:
        """The class of `redis.asyncio` that has the name of the blocking one."""
        from redis.asyncio import connection

        return cast("type[Any]", getattr(connection, self.connection_class.__name__))

    def _find_master(self, connect_seconds: float, answer_seconds: float) -> tuple[str, int]:
        """Ask the sentinels. They are asked for each connection: after a failover the answer is another one."""
        options = {
            "socket_connect_timeout": connect_seconds,
            "socket_timeout": answer_seconds,
            "retry": Retry(NoBackoff(), 0),  # redis-py's own for these is 3 tries with seconds in between
        }
        sentinel = Sentinel(self.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        try:
            host, port = sentinel.discover_master(self.master_name)  # type: ignore[no-untyped-call]
        finally:
            for asked in sentinel.sentinels:
                asked.close()
        return host, port

    async def _find_master_async(self, seconds: float) -> tuple[str, int]:
        from redis.asyncio.retry import Retry as AsyncRetry
        from redis.asyncio.sentinel import Sentinel as AsyncSentinel

        options = {
            "socket_connect_timeout": seconds,
            "socket_timeout": seconds,
            "retry": AsyncRetry(NoBackoff(), 0),
        }
        sentinel = AsyncSentinel(self.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        try:
            host, port = await sentinel.discover_master(self.master_name)
        finally:
            for asked in sentinel.sentinels:
                await asked.aclose()
        return host, port


def parse_broker_url(url: str) -> tuple[BrokerEndpoint, ...]:
    """The servers that the URL names, the first to use first. Sentinels are one: they know the servers.

    Raises:
        NotConfigured: it is no URL of a Redis, or one that cannot be used. The text does not quote it: it may hold a
            password.
    """
    plain, sentinel_options = for_kombu(url)
    servers = plain.split(";")
    if is_sentinel(plain):
        return (_sentinel_endpoint([urlsplit(server) for server in servers], sentinel_options),)
    return tuple(_endpoint(urlsplit(server)) for server in servers)


def for_kombu(url: str) -> tuple[str, dict[str, str]]:
    """The URL as kombu takes it, and the transport options that it names: `master_name`, which kombu does not read.

    `master_name` may stand at any of several sentinels.

    Raises:
        NotConfigured: it cannot be used. The text does not quote it: it may hold a password.
    """
    for server in url.split(";"):
        if server.partition("?")[0]:  # after a last semicolon there is nothing
            _check(server)
    if not is_sentinel(url):
        return url, {}
    parts = [server.partition("?") for server in url.split(";")]
    joined = "&".join(query for _, _, query in parts)
    _check_options(urlsplit(f"sentinel://?{joined}"))
    query = dict(parse_qsl(joined))
    return ";".join(plain for plain, _, _ in parts), {name: query[name] for name in ("master_name",) if name in query}


def is_sentinel(url: str) -> bool:
    """Whether the URL names sentinels, which know where Redis is, rather than Redis."""
    return url.startswith("sentinel://")


def _check(url: str) -> None:
    """Reject what kombu would read otherwise than it was meant, or reject in an error that quotes the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise NotConfigured(_UNREADABLE) from None
    _check_options(parts)
    is_file = "socket" in parts.scheme
    if url != url.strip() or not parts.scheme or parts.fragment or not (is_file or _DATABASE.fullmatch(parts.path)):
        raise NotConfigured(_UNREADABLE)


def _check_options(url: SplitResult) -> None:
    """Reject options that are not known, by name where the name is one of another library, and so no password."""
    known = _OPTIONS.get(url.scheme)
    for name, _ in parse_qsl(url.query, keep_blank_values=True):
        if known is None or name in known:
            continue
        if url.scheme == "sentinel" and name in _TLS_OPTIONS:
            raise NotConfigured(f"a sentinel:// URL has the option {name}; Rollbook connects to Sentinel without TLS")
        if name in _INSTEAD:
            raise NotConfigured(f"the broker's URL has the option {name}, which is not known; {_INSTEAD[name]}")
        raise NotConfigured(_BAD_OPTION)


def _endpoint(url: SplitResult) -> BrokerEndpoint:
    match url.scheme:
        case "redis" | "rediss":
            return _tcp_endpoint(url)
        case "redis+socket":
            return _socket_endpoint(url)
        case _:
            raise NotConfigured(_NOT_REDIS)


def _tcp_endpoint(url: SplitResult) -> BrokerEndpoint:
    query = dict(parse_qsl(url.query))
    tls = {name: query.pop(name) for name in list(query) if name.startswith("ssl_")}
    provider = query.pop("credential_provider", None)
    if query.keys() - _IGNORED:
        raise NotConfigured(_BAD_OPTION)
    options = _address(url, _PORT) | _credentials(url, provider)
    if not tls and url.scheme == "redis":
        return BrokerEndpoint(connection_class=redis.Connection, options=options)
    if not tls:
        logger.warning(
            "the broker's URL is rediss:// without ssl_cert_reqs: the server's certificate is not checked; "
            "add ?ssl_cert_reqs=required"
        )
    return BrokerEndpoint(connection_class=redis.SSLConnection, options=options | _tls_options(tls))


def _socket_endpoint(url: SplitResult) -> BrokerEndpoint:
    query = dict(parse_qsl(url.query))
    database = query.pop("virtual_host", "0").removeprefix("/")
    provider = query.pop("credential_provider", None)
    if query.keys() - {"client_name"} or not re.fullmatch("[0-9]+", database):
        raise NotConfigured(_BAD_OPTION)
    options = {"path": "/" + unquote(url.path.removeprefix("/")), "db": int(database), **query}
    return BrokerEndpoint(
        connection_class=redis.UnixDomainSocketConnection, options=options | _credentials(url, provider)
    )


def _sentinel_endpoint(urls: list[SplitResult], options: Mapping[str, str]) -> BrokerEndpoint:
    """The first URL has the password and the number of the database; both are of Redis, not of the sentinels."""
    if "master_name" not in options:
        raise NotConfigured("a sentinel:// URL must name the master, as in sentinel://10.0.0.1/0?master_name=main")
    addresses = [_address(url, _SENTINEL_PORT) for url in urls if url.scheme == "sentinel"]
    return BrokerEndpoint(
        connection_class=redis.Connection,
        options={"db": addresses[0]["db"], **_credentials(urls[0], None)},
        sentinels=tuple((address["host"], address["port"]) for address in addresses),
        master_name=options["master_name"],
    )


def _address(url: SplitResult, default_port: int) -> dict[str, Any]:
    return {
        "host": unquote(url.hostname or "") or _LOOPBACK,
        "port": url.port or default_port,
        "db": int(url.path.strip("/") or 0),
    }


def _credentials(url: SplitResult, provider: str | None) -> dict[str, Any]:
    if provider is not None:
        return {"credential_provider": _credential_provider(provider)}
    given = {"username": unquote(url.username or ""), "password": unquote(url.password or "")}
    return {name: value for name, value in given.items() if value}


def _credential_provider(path: str) -> CredentialProvider:
    try:
        provider = pkgutil.resolve_name(path)()
    except Exception as error:
        raise NotConfigured(_BAD_PROVIDER) from error
    if not isinstance(provider, CredentialProvider):
        raise NotConfigured(_BAD_PROVIDER)
    return provider


def _tls_options(query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {} if query else {"ssl_cert_reqs": ssl.CERT_NONE}
    for name, value in query.items():
        if name == "ssl_cert_reqs" and value in _CERTIFICATE_CHECKS:
            options[name] = _CERTIFICATE_CHECKS[value]
        elif name == "ssl_check_hostname":
            options[name] = value.lower() != "false"
        elif name in _TLS_FILES:
            options[name] = value
        else:
            raise NotConfigured(_BAD_OPTION)
    return options
