"""The programme that kills Redis counts what was confirmed, and finds none of it missing where it was synced first."""

from benchmarks.keeping import kept

from rollbook_ops.devstack.binaries import find_valkey


def test_what_was_synced_before_it_was_confirmed_outlives_a_kill() -> None:
    found = kept(find_valkey(), "always", kills=1, sync_ms=0)

    assert found.confirmed > 0
    assert (found.kills, found.lost, found.kills_that_lost) == (1, 0, 0)
