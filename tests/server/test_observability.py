"""What operators see of the server: metrics, logs and spans of every endpoint, without an id; whether it is ready."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.server.endpoint_calls import ALL, Answered, call_every_endpoint
from tests.support.server.feed_sockets import feed_socket
from tests.support.server.running_server import SEGMENT_KEY, RunningServer
from tests.support.tracing.spans import RecordedSpans

from rollbook import AsyncRollbook
from rollbook_server.observability.readiness import KEPT_SECONDS, Readiness
from rollbook_server.redis import BrokerRedis
from rollbook_shared.observability import tracing
from rollbook_shared.registry import registry_fingerprint

MARK = "Marked-4711"
SOCKET = "GET /ws/v1/websocket"


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What was to be seen of a call of each endpoint."""

    calls: list[Answered]
    records: list[logging.LogRecord]
    spans: RecordedSpans
    metrics: str


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.all: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.all.append(record)


@pytest.fixture(scope="module")
def played(server: RunningServer) -> Played:
    """Every endpoint called once; then calls that are rejected; with an SDK and a log of everything."""
    records, spans = Records(), RecordedSpans()
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in ("rollbook.server", "uvicorn")}
    root.addHandler(records)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_tracer", spans.tracer)
        with server.client() as api:
            calls = list(call_every_endpoint(api, SEGMENT_KEY, MARK, server.publisher.store))
            assert api.get(f"/v1/users/{MARK}/unknown/{MARK}?q={MARK}").status_code == 404
            assert api.put(f"/v1/users/{MARK}", json={"email": [MARK]}).status_code == 422
            assert api.get(f"/v1/users/{MARK}", headers={"authorization": f"Bearer {MARK}"}).status_code == 401
        asyncio.run(_socket(server))
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.removeHandler(records)
    return Played(calls=calls, records=records.all, spans=spans, metrics=server.metrics())


async def _socket(server: RunningServer) -> None:
    async with feed_socket(server) as socket:
        await socket.join(f"feeds:in_app:{MARK}")
        await socket.counts()
    async with feed_socket(server, MARK) as socket:
        await socket.closed()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """The samples by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }


def test_a_valid_call_of_each_endpoint_succeeds(played: Played) -> None:
    assert {call.endpoint for call in played.calls} == set(ALL)
    assert [(call.endpoint, call.answer.status_code) for call in played.calls if not call.answer.is_success] == []


def test_each_request_is_counted_by_route_and_status(played: Played) -> None:
    found = samples(played.metrics)

    for call in played.calls:
        status = str(call.answer.status_code)
        assert found["rollbook_http_requests_total", call.endpoint, status] >= 1, call.endpoint
        assert found["rollbook_http_request_seconds_count", call.endpoint] >= 1
    assert found["rollbook_http_requests_total", "unknown", "404"] == 1
    assert found["rollbook_http_requests_total", "PUT /v1/users/{user_id}", "422"] == 1
    assert found["rollbook_http_requests_total", "GET /v1/users/{user_id}", "401"] == 1
    assert found["rollbook_http_requests_total", SOCKET, "101"] == 1
    assert found["rollbook_http_requests_total", SOCKET, "401"] == 1


def test_each_request_is_logged_with_its_route(played: Played) -> None:
    lines = [record.getMessage() for record in played.records if record.name == "rollbook.server"]

    for call in played.calls:
        assert any(line.startswith(f"{call.endpoint} {call.answer.status_code} ") for line in lines), call.endpoint


def test_no_log_no_metric_and_no_span_names_what_was_sent(played: Played) -> None:
    texts = [
        played.metrics,
        *(f"{record.getMessage()} {record.exc_text or ''}" for record in played.records if _is_of_server(record)),
        *(span.to_json() for span in played.spans.all()),
    ]

    assert len(texts) > 2 * len(ALL)
    assert [text for text in texts if MARK in text] == []


def _is_of_server(record: logging.LogRecord) -> bool:
    """Whether the server logged it; the clients are in this process, too."""
    return not record.name.startswith(("httpx", "httpcore"))


def test_each_request_has_a_span_with_its_route_and_status(played: Played) -> None:
    for call in played.calls:
        method, _, path = call.endpoint.partition(" ")
        attributes = {"http.request.method": method, "http.route": path, "http.response.status_code": 200}
        attributes["http.response.status_code"] = call.answer.status_code
        assert attributes in [dict(span.attributes or {}) for span in played.spans.named(call.endpoint)]


def test_open_listeners_and_replays_and_overload_are_measured(server: RunningServer, api: httpx.Client) -> None:
    before = samples(server.metrics())
    for _ in range(2):
        api.put("/v1/users/again", json={}, headers={"idempotency-key": "again"})
    settings = server.services.settings
    object.__setattr__(settings, "max_requests", 0)
    try:
        assert api.get("/v1/users/again").status_code == 503
    finally:
        object.__setattr__(settings, "max_requests", 500)

    async def listen() -> dict[tuple[str, ...], float]:
        async with feed_socket(server) as socket, httpx.AsyncClient() as client:
            await socket.join("feeds:in_app:again")
            await socket.counts()
            url, key = f"{server.url}/v1/users/again/feeds/in_app/events", api.headers["authorization"]
            async with client.stream("GET", url, headers={"authorization": key}) as stream:
                await anext(stream.aiter_lines())
                return samples(server.metrics())

    now = asyncio.run(listen())
    assert now["rollbook_http_replays_total",] - before["rollbook_http_replays_total",] == 1
    rejected = ("rollbook_http_overload_total", "requests")
    assert now[rejected] - before[rejected] == 1
    assert now["rollbook_http_listeners", "socket"] == now["rollbook_http_listeners", "stream"] == 1
    assert now["rollbook_http_watched_feeds",] == 1
    assert now["rollbook_http_requests_running",] == 0


def test_a_server_whose_redis_and_postgres_answer_is_ready(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "registry": registry_fingerprint(server.services.registry.current)}


@pytest.mark.parametrize("away", [("redis",), ("postgres",), ("redis", "postgres")], ids=" and ".join)
def test_a_server_says_which_of_its_servers_is_away(database_url: str, broker_url: str, away: tuple[str, ...]) -> None:
    async def ask() -> tuple[str, ...]:
        redis = BrokerRedis("redis://127.0.0.1:1/0" if "redis" in away else broker_url)
        client = AsyncRollbook(database_url="postgresql://x@127.0.0.1:1/x" if "postgres" in away else database_url)
        try:
            return await Readiness(redis, client).missing()
        finally:
            await client.aclose()
            await redis.aclose()

    assert asyncio.run(ask()) == away


def test_redis_and_postgres_are_asked_once_a_second_however_often_the_server_is(
    database_url: str, broker_url: str
) -> None:
    asked = 0

    class Counting(BrokerRedis):
        async def execute(self, *commands: tuple[Any, ...]) -> list[Any]:
            nonlocal asked
            asked += 1
            return await super().execute(*commands)

    async def ask() -> None:
        redis, client = Counting(broker_url), AsyncRollbook(database_url=database_url)
        readiness = Readiness(redis, client)
        assert set(await asyncio.gather(*(readiness.missing() for _ in range(20)))) == {()}
        await client.aclose()
        await redis.aclose()

    started = time.monotonic()
    asyncio.run(ask())
    assert asked <= 1 + (time.monotonic() - started) / KEPT_SECONDS


def test_a_server_that_is_not_ready_answers_503_and_lives(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing() -> tuple[str, ...]:
        return ("redis",)

    monkeypatch.setattr(server.services.readiness, "missing", missing)
    answer = httpx.get(f"{server.url}/readyz")

    assert (answer.status_code, answer.json()["status"], answer.json()["missing"]) == (503, "not ready", ["redis"])
    assert httpx.get(f"{server.url}/healthz").status_code == 200
