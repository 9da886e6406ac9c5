"""Several seeds in one run: which they are, and what they sum up to."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.chaos.arguments import parse
from benchmarks.chaos.series import Series


def figures(**changed: Any) -> dict[str, Any]:
    zeros = dict.fromkeys(("lost", "applied_twice", "resurrected", "dead"), 0)
    return {"equal": True, "jobs": 10, "deliveries": 15, **zeros, "faults": {"full-disk": 2}, "seconds": 1.5} | changed


@pytest.mark.parametrize(
    ("said", "seeds"), [("3", (1, 2, 3)), ("3 --seed 7", (7, 8, 9)), ("501-503", (501, 502, 503)), ("4-4", (4,))]
)
def test_seeds_are_a_number_of_them_or_a_first_and_a_last(said: str, seeds: tuple[int, ...]) -> None:
    assert parse(["--seeds", *said.split()]).seeds == seeds


@pytest.mark.parametrize("said", ["0", "2-1", "many", "1-"])
def test_what_is_no_such_thing_is_refused(said: str) -> None:
    with pytest.raises(SystemExit):
        parse(["--seeds", said])


def test_the_sum_has_the_keys_of_one_run_and_the_runs() -> None:
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
def test_one_that_failed_makes_the_series_fail(bad: dict[str, Any] | None) -> None:
    series = Series()
    series.add(1, figures())
    series.add(2, bad)

    assert not series.is_good
    assert series.figures()["failed"] == [2]
    assert series.figures()["equal"] is (bad is not None and bad["equal"])


def test_no_run_proves_nothing() -> None:
    assert not Series().is_good
    assert not Series().figures()["equal"]
