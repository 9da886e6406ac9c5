"""Several seeds in one run, and their sum."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.chaos.arguments import parse
from benchmarks.chaos.series import Series


def figures(**changed: Any) -> dict[str, Any]:
    zeros = dict.fromkeys(("lost", "applied_twice", "resurrected", "dead", "handed_over", "handed_over_again"), 0)
    return {"equal": True, "jobs": 10, "deliveries": 15, **zeros, "faults": {"full-disk": 2}, "seconds": 1.5} | changed


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (1, 2, 3)), ("3 --seed 7", (7, 8, 9)), ("501-503", (501, 502, 503)), ("4-4", (4,))]
)
def test_seeds_are_a_number_or_a_range(text: str, seeds: tuple[int, ...]) -> None:
    assert parse(["--seeds", *text.split()]).seeds == seeds


@pytest.mark.parametrize("text", ["0", "2-1", "many", "1-"])
def test_invalid_seeds_are_rejected(text: str) -> None:
    with pytest.raises(SystemExit):
        parse(["--seeds", text])


def test_the_sum_has_the_keys_of_one_run() -> None:
    series = Series()
    series.add(1, figures())
    series.add(2, figures(faults={"full-disk": 1, "stop-worker": 3}, dead=1))

    summed = series.figures()

    assert series.is_good
    assert summed.keys() >= figures().keys()
    assert (summed["equal"], summed["jobs"], summed["deliveries"], summed["dead"]) == (True, 20, 30, 1)
    assert summed["faults"] == {"full-disk": 3, "stop-worker": 3}
    assert (summed["seeds"], summed["failed"]) == ([1, 2], [])
    assert summed["runs"]["1"] == figures()


@pytest.mark.parametrize(
    "bad",
    [None, figures(equal=False, lost=1, found={"lost": 1}), figures(found={"not done in time": 1})],
    ids=["no end", "lost", "late"],
)
def test_a_failed_run_fails_the_series(bad: dict[str, Any] | None) -> None:
    series = Series()
    series.add(1, figures())
    series.add(2, bad)

    assert not series.is_good
    assert series.figures()["failed"] == [2]
    assert series.figures()["equal"] is (bad is not None and bad["equal"])


def test_an_empty_series_is_not_good() -> None:
    assert not Series().is_good
    assert not Series().figures()["equal"]
