"""Exponential backoff."""

from __future__ import annotations

from random import Random

import pytest

from rollbook_shared.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.4, longest=5, jitter=0)

    assert [backoff.delay(failures) for failures in range(6)] == [0.4, 0.8, 1.6, 3.2, 5, 5]


def test_the_factor_can_be_changed() -> None:
    assert Backoff(first=1, longest=100, factor=1.5, jitter=0).delay(2) == 2.25


@pytest.mark.parametrize("jitter", [0.5, 1.0])
def test_jitter_takes_away_a_part_of_the_delay_at_most(jitter: float) -> None:
    delays = {Backoff(first=1, longest=60, jitter=jitter).delay(3, Random(seed)) for seed in range(100)}

    assert len(delays) == 100
    assert 8 * (1 - jitter) <= min(delays) < 8 * (1.1 - jitter)
    assert 7.2 < max(delays) <= 8


def test_a_million_failures_do_not_overflow() -> None:
    assert Backoff(first=0.1, longest=60, jitter=0).delay(1_000_000) == 60
