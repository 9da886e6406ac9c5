"""The HTTP server beside the client: requests a second of one server process, the time of a write, and of a feed."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import redis
from benchmarks.bench import seeding
from benchmarks.bench.bench import LABELS, OURS, Bench
from benchmarks.bench.contenders.rollbook import RollbookSingle
from benchmarks.bench.figures import Figure, median_of_ratios, percentile
from benchmarks.bench.http_load import send_all
from benchmarks.bench.http_server import HttpServer, feed_request, identify_request
from benchmarks.bench.users import make_users

from rollbook import Rollbook

CONNECTIONS: Final = 16
"""Of callers that send one request after the other."""
_APPLIED_WITHIN: Final = 60.0
_MESSAGES: Final = 30
_READER: Final = "http-reader"
_READS: Final = 30
"""Reads of each kind in one round, for one median."""
_RESPOND_ASYNC: Final = "prefer: respond-async"


class HttpPublishing:
    """No worker consumes: the server answers as soon as Redis has a job. The jobs are discarded after each turn."""

    keys: ClassVar[tuple[str, ...]] = ("http_identify_respond_async",)

    def contenders(self, bench: Bench) -> Sequence[str]:
        return []

    def steps(self, bench: Bench) -> int:
        return 2 * (bench.scale.rounds + 1)

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        broker_url = bench.environment.new_broker()
        server = HttpServer(bench.environment, "http-publishing", {"ROLLBOOK_BROKER_URL": broker_url})
        rates: dict[str, list[float]] = {"http_identify": [], "http_direct": []}
        with Rollbook(broker_url=broker_url) as rb, redis.Redis.from_url(broker_url) as client:
            ways: dict[str, Callable[[], float]] = {
                "http_identify": lambda: _over_http(bench, server, 202, _RESPOND_ASYNC),
                "http_direct": lambda: _directly(bench, rb),
            }
            for round_ in range(turns + 1):
                for name in random.sample(sorted(ways), len(ways)):
                    bench.step(f"round {round_} of {turns}: {LABELS[name]}")
                    rate = ways[name]()
                    client.flushdb()
                    if round_:  # the first warms up
                        rates[name].append(rate)
                        bench.rate(name, rate)
        server.close()
        _record_rates(bench, "http_identify_respond_async", rates["http_identify"], rates["http_direct"])


def _record_rates(bench: Bench, key: str, over_http: list[float], directly: list[float]) -> None:
    value, ratios = median_of_ratios(over_http, directly)
    bench.record(
        Figure(
            key=key,
            value=value,
            rounds=ratios,
            ours=statistics.median(over_http),
            baseline=statistics.median(directly),
            against=LABELS["http_direct"],
            unit="calls/s",
            size={"calls_a_round": bench.scale.calls, "connections": CONNECTIONS},
        )
    )


class HttpCalls:
    """Workers apply the jobs: a write is answered when it is applied."""

    keys: ClassVar[tuple[str, ...]] = ("http_identify_vs_direct", "http_p50_ms", "http_p99_ms", "http_feed_vs_client")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS]

    def steps(self, bench: Bench) -> int:
        return 1 + bench.scale.rounds

    def run(self, bench: Bench) -> None:
        side, turns = bench.ours(), bench.rounds()
        bench.step("starting the HTTP server")
        server = HttpServer(bench.environment, "http-calls", side.variables())
        seeding.write_feed(side.rb, side.connection, _READER, _MESSAGES)
        calls: dict[str, list[float]] = {"http": [], "direct": []}
        writes: dict[str, list[list[float]]] = {"http": [], "direct": []}
        feeds: dict[str, list[float]] = {"http": [], "direct": []}
        for round_ in range(turns):
            bench.step(f"round {round_ + 1} of {turns}: calls over HTTP and of the client")
            calls["http"].append(_over_http(bench, server, 200))
            calls["direct"].append(_directly(bench, side.rb))
            side.wait_for(lambda: not side.client.llen(side.queue), within=_APPLIED_WITHIN, what="take what was sent")
            for name, took in _in_turns(_write_over_http(server), _write(side.rb), bench.scale.probes_seconds).items():
                writes[name].append(took)
            for name, took in _in_turns(_read_over_http(server), _read(side), bench.scale.probes_seconds).items():
                feeds[name].append(statistics.median(took))
        server.close()
        self._record(bench, calls, writes, feeds)

    def _record(
        self,
        bench: Bench,
        calls: dict[str, list[float]],
        writes: dict[str, list[list[float]]],
        feeds: dict[str, list[float]],
    ) -> None:
        _record_rates(bench, "http_identify_vs_direct", calls["http"], calls["direct"])
        for key, share in (("http_p50_ms", 0.5), ("http_p99_ms", 0.99)):
            ours, theirs = ([each for block in writes[name] for each in block] for name in ("http", "direct"))
            bench.record(
                Figure(
                    key=key,
                    value=percentile(ours, share),
                    rounds=[percentile(block, share) for block in writes["http"]],
                    ours=percentile(ours, share),
                    baseline=percentile(theirs, share),
                    against="users.identify(...).wait()",
                    unit="ms",
                    size={"probes": len(ours)},
                )
            )
        value, ratios = median_of_ratios(feeds["http"], feeds["direct"])
        bench.record(
            Figure(
                key="http_feed_vs_client",
                value=value,
                rounds=ratios,
                ours=statistics.median(feeds["http"]),
                baseline=statistics.median(feeds["direct"]),
                against="feeds.list",
                unit="ms",
                size={"messages": _MESSAGES},
            )
        )


def _over_http(bench: Bench, server: HttpServer, status: int, *headers: str) -> float:
    """Requests a second."""
    users = make_users(bench.scale.calls, known=bench.scale.users)
    requests = [identify_request(user, *headers) for user in users]
    return len(requests) / send_all(server.port, requests, connections=CONNECTIONS, status=status)


def _directly(bench: Bench, rb: Rollbook) -> float:
    """Calls a second of the client, one after the other, until Redis has their jobs."""
    users = make_users(bench.scale.calls, known=bench.scale.users)
    begin = time.perf_counter()
    for user in users:
        rb.users.identify(user.id, user.traits)
    return len(users) / (time.perf_counter() - begin)


def _in_turns(over_http: Callable[[], None], directly: Callable[[], None], seconds: float) -> dict[str, list[float]]:
    """The milliseconds of each call, made by turns. The first of each side warms up."""
    took: dict[str, list[float]] = {"http": [], "direct": []}
    over_http()
    directly()
    deadline = time.monotonic() + 2 * seconds
    while time.monotonic() < deadline or len(took["direct"]) < _READS:
        for name, call in (("http", over_http), ("direct", directly)):
            begin = time.perf_counter()
            call()
            took[name].append((time.perf_counter() - begin) * 1_000)
    return took


def _write_over_http(server: HttpServer) -> Callable[[], None]:
    caller = server.caller()

    def call() -> None:
        (user,) = make_users(1, known=0)
        caller.ask(identify_request(user), 200)

    return call


def _write(rb: Rollbook) -> Callable[[], None]:
    def call() -> None:
        (user,) = make_users(1, known=0)
        rb.users.identify(user.id, user.traits).wait(timeout=_APPLIED_WITHIN)

    return call


def _read_over_http(server: HttpServer) -> Callable[[], None]:
    caller = server.caller()
    return lambda: caller.ask(feed_request(_READER), 200)


def _read(side: RollbookSingle) -> Callable[[], None]:
    return lambda: seeding.read_feed(side.rb, _READER, _MESSAGES)
