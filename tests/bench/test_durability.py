"""The program that kills Redis counts confirmed jobs, and none is lost that was synced first."""

import pytest
from benchmarks.durability import measure_durability

from rollbook_ops.devstack.binaries import find_valkey

pytestmark = pytest.mark.servers


def test_jobs_that_are_synced_before_they_are_confirmed_survive_a_kill() -> None:
    found = measure_durability(find_valkey(), "always", kills=1, sync_ms=0)

    assert found.confirmed > 0
    assert (found.kills, found.lost, found.kills_that_lost) == (1, 0, 0)
