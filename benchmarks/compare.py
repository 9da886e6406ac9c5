"""Compares the benchmark of this checkout with that of another one, side by side.

    ./run python -m benchmarks.compare ../other-checkout
    ./run python -m benchmarks.compare ../other-checkout --only p50_ms --rounds 9
    ./run python -m benchmarks.compare results.json

Each round runs `./run bench` of both checkouts with their own .venv, in alternating order. A ratio compares what
Rollbook reached in the two runs of one round; above 1 this checkout is better, for rates and for times alike. The table
has the median of the ratios and their range. Its column "control" is the same ratio of the baselines (stock Celery and
so on), which are the same programs in both checkouts: a control that differs from 1 shows what the machine did.

A library that only one of the two .venv has counts as well: redis-py uses hiredis where it finds it. A control above 1
does not excuse a ratio below it. If in doubt whether a ratio is the code's, run the old sources with the new .venv
(their folders in PYTHONPATH), and compare the processor time of the client alone.

Instead of a checkout, give a file with the JSON of an earlier `./run bench --json`: then only this checkout runs. The
machine must be the same, and as idle as it was.

A quick round takes about two minutes, a full one half an hour. The exit code is 1 if a median is below `--least`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
_HIGHER_IS_BETTER: Final = "/s"
"""Ends the unit of a rate; of times and sizes less is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One key over all rounds."""

    key: str
    ratios: Sequence[float]
    """This checkout over the other one; above 1 it is better."""
    controls: Sequence[float]
    """The same ratios of the baselines."""

    @property
    def median(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


def main() -> int:
    """Compare and print; the exit code says whether this checkout is good enough."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="another checkout, or a file with the JSON of `./run bench --json`")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs (5)")
    parser.add_argument("--only", action="append", metavar="KEY", default=[], help="measure this key; again for more")
    parser.add_argument("--full", action="store_true", help="full sizes, not quick ones: half an hour a round")
    parser.add_argument("--least", type=float, default=0.97, help="the lowest ratio that is good enough (0.97)")
    parser.add_argument("--json", action="store_true", help="one JSON object: the ratios of each key")
    given = parser.parse_args()
    options = [*([] if given.full else ["--quick"]), "--no-peers", *(f"--only={key}" for key in given.only)]
    found = compare(list(_rounds(given.other, options, given.rounds)))
    if given.json:
        print(json.dumps({each.key: {"ratios": each.ratios, "controls": each.controls} for each in found}))
    else:
        _show(found, given.least)
    return int(any(each.median < given.least for each in found))


def compare(rounds: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Comparison]:
    """Compare the keys that were measured in every round. A round is the results of this checkout and of the other."""
    pairs = [(own["details"], other["details"]) for own, other in rounds]
    keys = [key for key in pairs[0][0] if all(_is_measured(side.get(key)) for pair in pairs for side in pair)]
    return [
        Comparison(
            key=key,
            ratios=[_ratio(own[key], other[key], "ours") for own, other in pairs],
            controls=[_ratio(own[key], other[key], "baseline") for own, other in pairs],
        )
        for key in keys
    ]


def run_bench(checkout: Path, options: Sequence[str]) -> dict[str, Any]:
    """Run the checkout's benchmark, and return what it found.

    Raises:
        RuntimeError: the benchmark failed; the text is what it printed.
    """
    command = [str(checkout / "run"), "bench", "--json", *options]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rounds(other: Path, options: Sequence[str], count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    recorded = json.loads(other.read_text()) if other.is_file() else None
    for number in range(count):
        print(f"round {number + 1} of {count}", file=sys.stderr, flush=True)
        if recorded is not None:
            yield run_bench(ROOT, options), recorded
        elif number % 2:
            found = run_bench(other.resolve(), options)
            yield run_bench(ROOT, options), found
        else:
            yield run_bench(ROOT, options), run_bench(other.resolve(), options)


def _is_measured(details: Mapping[str, Any] | None) -> bool:
    return details is not None and bool(details["ours"]) and bool(_value(details, "baseline"))


def _value(details: Mapping[str, Any], name: str) -> float:
    """A figure of one side. The baseline's was called `yardstick` before it was renamed."""
    return float(details.get(name, details.get("yardstick")) or 0)


def _ratio(own: Mapping[str, Any], other: Mapping[str, Any], name: str) -> float:
    ratio = _value(own, name) / _value(other, name)
    return ratio if own["unit"].endswith(_HIGHER_IS_BETTER) else 1 / ratio


def _show(found: Sequence[Comparison], least: float) -> None:
    print(f"{'key':<28} {'ratio':>6}   {'lowest - highest':>16}   {'control':>7}")
    for each in found:
        spread = f"{min(each.ratios):.2f} - {max(each.ratios):.2f}"
        verdict = "" if each.median >= least else f"   below {least:g}"
        print(f"{each.key:<28} {each.median:>6.3f}   {spread:>16}   {statistics.median(each.controls):>7.3f}{verdict}")


if __name__ == "__main__":
    sys.exit(main())
