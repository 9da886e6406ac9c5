"""An HTTP server in a thread, whose jobs the real store applies at once, before their call returns."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client import CollectorRegistry, generate_latest

from rollbook import AsyncRollbook
from rollbook.errors import NotSent
from rollbook_server.access.callers import Callers
from rollbook_server.access.keys import Keys
from rollbook_server.access.user_tokens import UserTokens
from rollbook_server.app import create_app
from rollbook_server.console.runner import console_routes
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.console.tools import NO_TOOLS, ConsoleTools
from rollbook_server.feed_contents import FeedContents, FeedTemplates
from rollbook_server.feed_watch import FeedWatch
from rollbook_server.idempotency import IdempotencyRecords
from rollbook_server.observability.metrics import ServerMetrics
from rollbook_server.observability.readiness import Readiness
from rollbook_server.observability.request_trace import TracePublisher
from rollbook_server.realtime.broker_listener import listening
from rollbook_server.redis import BrokerRedis
from rollbook_server.serve import FeedServer, server_config
from rollbook_server.services import Services
from rollbook_server.settings import ServerSettings
from rollbook_shared.jobs import Job
from rollbook_shared.jobs.codec import encode
from rollbook_shared.limits import Limits
from rollbook_shared.registry import RegistryFile
from rollbook_worker.feed_changes import FeedNotifier
from rollbook_worker.store import PostgresStore, ReceivedJob, Store

SECRET_KEY = "sk_test_12345"
PUBLIC_KEY = "pk_test_12345"
SEGMENT_KEY = "segment_test_12345"
PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""Signs at once; of the text of a key it is checked first that it is one, for 40 ms."""
PRIVATE_PEM = PRIVATE_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC_PEM = (
    PRIVATE_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@dataclass
class ApplyingPublisher:
    """Applies each job at once, unless workers or the broker are away."""

    store: Store
    workers_are_away: bool = False
    broker_is_away: bool = False
    waiting: list[Job] = field(default_factory=list)
    published: list[Job] = field(default_factory=list)

    async def publish(self, job: Job) -> None:
        if self.broker_is_away:
            raise NotSent(job.id)
        self.published.append(job)
        self.waiting.append(job)
        if not self.workers_are_away:
            self.apply()

    def apply(self) -> None:
        jobs = [ReceivedJob.of(encode(job)) for job in self.waiting]
        self.waiting.clear()
        self.store.apply(jobs, now=time.time_ns() // 1_000)

    async def aclose(self) -> None: ...


@dataclass
class RunningServer:
    """A server, and what tests change of it."""

    url: str
    publisher: ApplyingPublisher
    services: Services
    registry: CollectorRegistry
    stop: Callable[[], None]
    """Ask it to stop, as SIGTERM does."""

    def metrics(self) -> str:
        """What Prometheus would read."""
        return generate_latest(self.registry).decode()

    def client(self, key: str = SECRET_KEY, token: str | None = None) -> httpx.Client:
        """An HTTP client with this key."""
        headers = {"authorization": f"Bearer {key}"}
        if token is not None:
            headers["x-knock-user-token"] = token
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def run_server(
    database_url: str,
    broker_url: str,
    settings: ServerSettings,
    *,
    registry: str | None = None,
    listens_to: str | None = None,
    worker_broker_url: str | None = None,
    worker_database_url: str | None = None,
    console: ConsoleSettings | None = None,
    tools: ConsoleTools = NO_TOOLS,
    templates: FeedTemplates | None = None,
) -> Iterator[RunningServer]:
    """Run a server for the length of a `with`.

    listens_to: another way to the broker, for what workers publish.
    worker_broker_url, worker_database_url: the workers' ways, if they are not the server's.
    console: the settings of the console; by default there is none.
    tools: what its pages use.
    templates: of feed items.
    """
    settings = replace(
        settings,
        secret_keys=(SECRET_KEY,),
        public_keys=(PUBLIC_KEY,),
        segment_keys=(SEGMENT_KEY,),
        user_token_public_key=PUBLIC_PEM,
    )
    postgres = PostgresStore(
        worker_database_url or database_url,
        registry=RegistryFile(registry).latest,
        on_committed=lambda jobs: notifier.notify(jobs),
    )
    notifier = FeedNotifier(worker_broker_url or broker_url, postgres.find_recipients)
    publisher = ApplyingPublisher(postgres)
    redis = BrokerRedis(broker_url)
    metrics = CollectorRegistry()
    client = AsyncRollbook(
        broker_url=broker_url, database_url=database_url, registry=registry, publisher=TracePublisher(publisher)
    )
    recorder, registry_file = ServerMetrics(metrics), RegistryFile(registry)
    services = Services(
        client=client,
        feeds=FeedWatch(client),
        contents=FeedContents(client, registry_file, recorder, templates),
        limits=Limits(),
        registry=registry_file,
        records=IdempotencyRecords(redis, timedelta(days=7)),
        segment_keys=Keys(secret=settings.segment_keys, public=()),
        settings=settings,
        readiness=Readiness(redis, client),
        recorder=recorder,
    )
    callers = Callers(Keys(secret=settings.secret_keys, public=settings.public_keys), UserTokens(PUBLIC_PEM))
    app = create_app(services, callers, console=console_routes(services, console or ConsoleSettings(), tools=tools))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = FeedServer(server_config(app, settings.request_timeout.total_seconds()), services.feeds)

        async def serve() -> None:
            async with listening(listens_to or broker_url, services.feeds):
                await server.serve(sockets=[listener])
            await services.client.aclose()
            await redis.aclose()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            yield RunningServer(f"http://127.0.0.1:{port}", publisher, services, metrics, server.ask_to_stop)
        finally:
            server.should_exit = True
            thread.join()
            notifier.close()
            postgres.close()
