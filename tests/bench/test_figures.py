"""Medians, percentiles, goals and their formatting."""

from __future__ import annotations

import pytest
from benchmarks.bench.figures import Figure, best, median_of_ratios, percentile
from benchmarks.bench.formatting import format_comparison, format_number, format_spread, format_value, format_verdict
from benchmarks.bench.goals import GOALS


def test_a_ratio_is_the_median_of_those_within_the_rounds() -> None:
    # The second round was disturbed, for both sides alike: the ratio of the medians would be 5.
    value, rounds = median_of_ratios([100, 10, 110, 60, 50], [10, 1, 10, 10, 10])

    assert rounds == [10, 10, 11, 6, 5]
    assert value == 10


def test_both_contenders_need_the_same_rounds() -> None:
    with pytest.raises(ValueError):
        median_of_ratios([1, 2], [1])


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_percentile_of_no_values_is_rejected(values: list[float], share: float) -> None:
    with pytest.raises(ValueError):
        percentile(values, share)


def test_the_best_setting_of_a_baseline_has_the_highest_median() -> None:
    assert best({"2 processes": [1, 2, 90], "8 processes": [3, 3, 3]}) == "8 processes"


@pytest.mark.parametrize(
    ("key", "value", "met"),
    [
        ("single_vs_stock_orm", 10.0, True),
        ("single_vs_stock_orm", 9.99, False),
        ("p50_ms", 15.0, True),
        ("p50_ms", 15.1, False),
        ("p99_ms", 1_000.0, None),
        ("single_vs_best_peer", None, None),
    ],
)
def test_a_goal_includes_its_bound(key: str, value: float | None, met: bool | None) -> None:
    assert Figure(key=key, value=value).met is met


def test_each_goal_has_one_bound_at_most() -> None:
    assert [goal.key for goal in GOALS.values() if goal.at_least is not None and goal.at_most is not None] == []


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(key="p50_ms", value=7.0), "reached"),
        (Figure(key="p50_ms", value=70.0), "not reached"),
        (Figure(key="p99_ms", value=70.0), "no goal"),
        (Figure(key="single_vs_best_peer", value=None, note="no peer is installed"), "no peer is installed"),
        (
            Figure(key="merge_1m_vs_1k", value=1.0, size={"messages_long": 1_000_000, "messages_short": 1_000}),
            "reached",
        ),
        (Figure(key="merge_1m_vs_1k", value=1.0, size={"messages_long": 20_000}), "reached, at 20,000 only"),
        (Figure(key="rate_at_1m_users_vs_10k", value=0.5, size={"users_large": 100}), "not reached, at 100 only"),
    ],
)
def test_a_verdict_names_a_size_smaller_than_the_goal(figure: Figure, text: str) -> None:
    assert format_verdict(figure) == text


def test_figures_have_three_digits_and_their_units() -> None:
    figure = Figure(key="p50_ms", value=6.789, rounds=[5.0, 12.34], ours=6.789, baseline=1_234.5, unit="ms")

    assert (format_value(figure), format_spread(figure)) == ("6.79 ms", "5.00 - 12.3 (2)")
    assert format_comparison(figure) == "6.79 : 1,234 ms"
    assert (format_number(None), format_spread(Figure(key="p50_ms", value=1.0))) == ("-", "-")
