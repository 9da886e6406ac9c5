"""The command line of the benchmark."""

from __future__ import annotations

import pytest
from benchmarks.bench.arguments import parse
from benchmarks.bench.experiments import EXPERIMENTS
from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL, QUICK


def test_without_arguments_all_keys_are_measured_in_full() -> None:
    arguments = parse([])

    assert (arguments.scale, arguments.keys, arguments.peers) == (FULL, frozenset(GOALS), True)
    assert not arguments.as_json
    assert not arguments.write


def test_only_is_repeatable() -> None:
    arguments = parse(["--quick", "--json", "--only", "p50_ms", "--only", "bulk_vs_floor"])

    assert arguments.keys == {"p50_ms", "bulk_vs_floor"}
    assert (arguments.scale, arguments.as_json) == (QUICK, True)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--only", "speed"], "unknown key: speed; the keys are single_vs_stock_orm"),
        (["--write", "--only", "p50_ms"], "--write needs all keys"),
        (["--write", "--no-peers"], "--write needs all keys"),
    ],
)
def test_invalid_arguments_are_rejected(given: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(given)

    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_each_key_is_measured_by_one_experiment() -> None:
    assert sorted(key for experiment in EXPERIMENTS for key in experiment.keys) == sorted(GOALS)
