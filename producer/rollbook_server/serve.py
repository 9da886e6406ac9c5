"""Runs the server: makes the application of the settings, and serves it with uvicorn until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from rollbook import AsyncRollbook
from rollbook.publishing.async_direct import AsyncDirectPublisher
from rollbook_server.access.callers import Callers
from rollbook_server.access.keys import Keys
from rollbook_server.access.user_tokens import UserTokens
from rollbook_server.access.weak_keys import weak_keys
from rollbook_server.app import create_app
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.console.tools import NO_TOOLS, ConsoleTools
from rollbook_server.feed_contents import FeedContents, FeedTemplates
from rollbook_server.feed_watch import FeedWatch
from rollbook_server.http.bounded_protocol import bounded_protocol
from rollbook_server.idempotency import IdempotencyRecords
from rollbook_server.observability.readiness import Readiness
from rollbook_server.observability.recorder import Recorder
from rollbook_server.observability.request_trace import TracePublisher
from rollbook_server.realtime.broker_listener import listening
from rollbook_server.realtime.socket import MAX_FRAME_BYTES
from rollbook_server.redis import BrokerRedis
from rollbook_server.services import Services
from rollbook_server.settings import ServerSettings
from rollbook_shared.errors import NotConfigured
from rollbook_shared.install_hint import require_extra
from rollbook_shared.registry import RegistryFile
from rollbook_shared.settings import Settings

logger: Final = logging.getLogger("rollbook.server")
_uvicorn_logger: Final = logging.getLogger("uvicorn.error")
_ABOUT_SOCKETS: Final = re.compile(r"^connection (?:open|closed)|\"WebSocket ")
_QUERY: Final = re.compile(r"\?[^\s\"']+")

_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_NO_CONSOLE: Final = ConsoleSettings()
STOP_SECONDS: Final = 10
"""How long running requests may take when the server is asked to stop."""


def application(
    settings: Settings,
    server: ServerSettings,
    recorder: Recorder | None = None,
    console: ConsoleSettings = _NO_CONSOLE,
    tools: ConsoleTools = NO_TOOLS,
    templates: FeedTemplates | None = None,
) -> Starlette:
    """The application, for uvicorn or any other ASGI server.

    recorder: takes note of what it does, for metrics.
    console: the settings of the console.
    tools: what its pages use that the server may not import.
    templates: of feed items; None: they have no content.

    Raises:
        NotConfigured: a setting is missing or invalid, the registry is, or the extra `console` is not installed.
    """
    if not server.secret_keys:
        raise NotConfigured(
            "ROLLBOOK_SECRET_KEYS is not set; set it to a long random text, such as `openssl rand -hex 32` prints"
        )
    if weak := weak_keys(server.secret_keys):
        logger.warning("ROLLBOOK_SECRET_KEYS has %d keys that can be guessed: short, or of an example", weak)
    broker_url = settings.need_broker_url()
    tokens = None if server.user_token_public_key is None else UserTokens(server.user_token_public_key)
    redis = BrokerRedis(broker_url)
    client = AsyncRollbook(
        publisher=TracePublisher(AsyncDirectPublisher(broker_url)),
        database_url=settings.database_url,
        schema=settings.schema,
        limits=settings.limits,
        merge_history=settings.merge_history,
        read_timeout=settings.read_timeout,
        pool=settings.pool,
        registry=settings.registry,
    )
    feeds = FeedWatch(client)
    registry = RegistryFile(settings.registry)
    recorder = recorder or Recorder()
    services = Services(
        client=client,
        feeds=feeds,
        contents=FeedContents(client, registry, recorder, templates),
        limits=settings.limits,
        registry=registry,
        records=IdempotencyRecords(redis, settings.job_retention),
        segment_keys=Keys(secret=server.segment_keys, public=()),
        settings=server,
        readiness=Readiness(redis, client),
        recorder=recorder,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with _on_hangup(lambda: _reload(services.registry)):
            try:
                async with listening(broker_url, feeds):
                    yield
            finally:
                await services.client.aclose()
                await redis.aclose()

    callers = Callers(Keys(secret=server.secret_keys, public=server.public_keys), tokens)
    app = create_app(services, callers, console=_console(services, console, tools), lifespan=lifespan)
    app.state.feeds = feeds
    app.state.request_seconds = server.request_timeout.total_seconds()
    return app


def _console(services: Services, settings: ConsoleSettings, tools: ConsoleTools) -> list[BaseRoute]:
    if not settings.is_on:
        return []
    require_extra("the console", "console", "jinja2", "argon2")
    # imported here: a server without a console needs neither of these
    from rollbook_server.console.runner import console_routes

    return console_routes(services, settings, tools=tools)


def check_address(host: str, port: int) -> None:
    """Look whether the server can listen there, before it starts: uvicorn only logs that it cannot, and exits with 3.

    Raises:
        OSError: the address cannot be bound, or the host is unknown.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with socket.socket(found[0][0], found[0][1], found[0][2]) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        probe.bind(found[0][4])


def serve_application(application: Starlette, *, host: str, port: int) -> None:
    """Serve the application until SIGTERM or SIGINT."""
    config = server_config(application, application.state.request_seconds, host=host, port=port)
    server = FeedServer(config, application.state.feeds)
    # When it has stopped, uvicorn raises the signal once more for the handlers from before: without ours the process
    # would end as if it had been killed.
    for signal_number in _STOPS:
        signal.signal(signal_number, lambda *_: server.ask_to_stop())
    # What is there now stays until the end: without this, the garbage collector looks at all of it again and again,
    # which takes a tenth of the time of a busy server.
    gc.collect()
    gc.freeze()
    server.run()


def server_config(
    application: Starlette, request_seconds: float, *, host: str = "127.0.0.1", port: int = 0
) -> uvicorn.Config:
    """How uvicorn serves the application: it logs no query string, which may hold a user token, a socket costs little
    memory, and headers that never end are not waited for.

    request_seconds: how long the headers of a request may take.
    """
    _uvicorn_logger.addFilter(hide_query)
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        http=bounded_protocol(request_seconds),
        access_log=False,
        proxy_headers=False,  # nothing depends on the caller's address
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,  # it takes 64 KiB a socket, and our frames are short
        ws_ping_interval=None,  # clients send heartbeats
    )


def hide_query(record: logging.LogRecord) -> bool:
    """A filter that logs no query string: uvicorn logs that of each socket, whatever its settings. It leaves out the
    lines about sockets that are opened and closed, and at DEBUG what is sent over them.
    """
    message = record.getMessage()
    if "?" in message:
        record.msg, record.args = _QUERY.sub("?...", message), ()
    return record.levelno >= logging.WARNING or (record.levelno >= logging.INFO and not _ABOUT_SOCKETS.search(message))


class FeedServer(uvicorn.Server):
    """Ends the event streams when it stops: uvicorn closes sockets itself (1012), and waits for all else."""

    def __init__(self, config: uvicorn.Config, feeds: FeedWatch) -> None:
        super().__init__(config)
        self._feeds = feeds

    def ask_to_stop(self) -> None:
        """Stop as soon as everything has ended that runs."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._feeds.stop()
        await super().shutdown(sockets)


def _reload(registry: RegistryFile) -> None:
    try:
        found = registry.reload()
    except NotConfigured as error:
        logger.error("the registry stays as it is: %s", error)
    else:
        workflows = "all" if found.workflows is None else len(found.workflows)
        logger.info("read the registry: %d channels, %s workflows", len(found.channels), workflows)


@contextlib.contextmanager
def _on_hangup(call: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGHUP, call)
    except (RuntimeError, ValueError, NotImplementedError):  # not in the main thread: another server embeds us
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
