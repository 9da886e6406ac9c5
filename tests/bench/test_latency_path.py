"""Where the time of one identify goes."""

from __future__ import annotations

from benchmarks.bench.environment import Environment
from benchmarks.latency_path import measure

from rollbook_ops.devstack import Servers

_FIRST_BROKER = 56
"""The numbered databases of Valkey that other tests use are below."""


def test_every_station_is_passed_and_the_parts_are_times(servers: Servers) -> None:
    with Environment(servers, first_broker=_FIRST_BROKER) as environment:
        found = measure(environment, load=0.0, seconds=0.3, rounds=1, names=("worker",))

    assert all(0 < part < 1_000 for part in found["worker"].values()), found
    assert list(found["worker"])[-2:] == ["committed", "seen"]
