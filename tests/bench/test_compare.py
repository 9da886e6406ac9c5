"""The comparison of two checkouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.compare import compare, run_bench


def results(**keys: tuple[float | None, float, str]) -> dict[str, Any]:
    """What a benchmark printed: of each key what the product reached, its baseline, and the unit of both."""
    return {
        "details": {
            key: {"ours": ours, "baseline": baseline, "unit": unit} for key, (ours, baseline, unit) in keys.items()
        }
    }


@pytest.mark.parametrize(("unit", "ratio"), [("users/s", 1.25), ("calls/s", 1.25), ("ms", 0.8), ("bytes/user", 0.8)])
def test_a_ratio_above_one_is_better_whatever_the_unit(unit: str, ratio: float) -> None:
    (found,) = compare([(results(key=(125, 50, unit)), results(key=(100, 50, unit)))])

    assert found.ratios == pytest.approx([ratio])
    assert found.controls == [1]


def test_the_median_is_that_of_the_ratios_within_the_rounds() -> None:
    pairs = [(100, 100), (30, 60), (200, 100)]

    (found,) = compare([(results(key=(a, 1, "users/s")), results(key=(b, 1, "users/s"))) for a, b in pairs])

    assert (found.ratios, found.median) == ([1, 0.5, 2], 1)


def test_a_checkout_may_be_older_than_the_name_of_the_baseline() -> None:
    older = {"details": {"key": {"ours": 100, "yardstick": 25, "unit": "ms"}}}

    (found,) = compare([(results(key=(100, 50, "ms")), older)])

    assert (found.ratios, found.controls) == ([1], [0.5])


def test_a_key_that_one_side_did_not_measure_is_left_out() -> None:
    own = results(both=(1, 1, "ms"), own=(1, 1, "ms"), failed=(None, 1, "ms"))

    assert [found.key for found in compare([(own, results(both=(1, 1, "ms"), failed=(1, 1, "ms")))])] == ["both"]


def test_the_other_checkout_is_run_by_its_own_command(tmp_path: Path) -> None:
    command = tmp_path / "run"
    command.write_text(f"#!/bin/sh\necho starting\necho '{json.dumps(results())}'\n")
    command.chmod(0o755)

    assert run_bench(tmp_path, ["--quick"]) == results()


def test_a_benchmark_that_fails_says_why(tmp_path: Path) -> None:
    command = tmp_path / "run"
    command.write_text("#!/bin/sh\necho no servers >&2\nexit 1\n")
    command.chmod(0o755)

    with pytest.raises(RuntimeError, match="no servers"):
        run_bench(tmp_path, [])
