"""How the latency grows with the load, and who uses the cores."""

from __future__ import annotations

from benchmarks.bench.environment import Environment
from benchmarks.load_latency import measure

from rollbook_ops.devstack import Servers

_FIRST_BROKER = 58
"""The numbered databases of Valkey that other tests use are below."""


def test_each_share_of_the_rate_has_its_latency_and_the_cores_in_use(servers: Servers) -> None:
    with Environment(servers, first_broker=_FIRST_BROKER) as environment:
        found = measure(servers, environment, [0, 20], workers=1, seconds=0.3, rounds=1, drained=300)

    idle, loaded = found[0], found[20]
    assert idle["jobs a second"] == 0 < loaded["jobs a second"]
    for figures in (idle, loaded):
        assert 0 < figures["50th percentile"] <= figures["99th percentile"]
        assert all(0 <= figures[part] < 16 for part in ("workers", "Postgres", "Valkey", "sender and reader"))
    assert loaded["workers"] > 0
