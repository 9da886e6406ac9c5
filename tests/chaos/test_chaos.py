"""A short run with every kind of fault equals the reference, and prints the documented JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.chaos.fault_kinds import FAULT_KINDS
from benchmarks.chaos.namespaces import why_unavailable
from tests.support.brokers import broker_program
from tests.support.repository import ROOT

SEED = 3


@pytest.mark.slow
@pytest.mark.servers
def test_a_short_run_equals_the_reference(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # the servers run as another account when we are root
    size = ("--jobs", "400", "--minutes", "0.15", "--every", "0.5")

    found = run_chaos("tests.support.chaos.forked_run", tmp_path / "logs", *size, "--broker", str(broker_program()))

    assert "database system is ready" in (tmp_path / "logs" / "postgres.log").read_text()
    assert b"LPUSH" in b"".join(file.read_bytes() for file in (tmp_path / "logs").glob("appendonly*/*.incr.aof"))
    assert found.pop("deliveries") > found["jobs"] > 350
    faults = found.pop("faults")
    assert sum(faults.values()) > 8
    assert faults.keys() <= FAULT_KINDS.keys()
    assert found.pop("seconds") > 0
    assert found.pop("jobs")
    assert found.pop("handed_over") > 5
    assert found.pop("handed_over_again") >= 0
    assert found == {"equal": True, "lost": 0, "applied_twice": 0, "resurrected": 0, "dead": 0}


@pytest.mark.slow
@pytest.mark.servers
def test_a_short_run_in_networks_of_their_own_equals_the_reference(tmp_path: Path) -> None:
    if reason := why_unavailable():
        pytest.skip(reason)
    tmp_path.chmod(0o711)
    kinds = {"isolate", "lose-answers", "lose-requests", "lose-machine", "lose-packets"}

    size = ("--jobs", "120", "--minutes", "0.05", "--every", "0.4")

    found = run_chaos("benchmarks.chaos", tmp_path / "logs", *size, "--namespaces", "--faults", ",".join(kinds))

    assert (found["equal"], found["lost"], found["applied_twice"], found["dead"]) == (True, 0, 0, 0)
    assert found["deliveries"] > found["jobs"] > 100
    assert sum(found["faults"].values()) > 4
    assert found["faults"].keys() <= kinds


def run_chaos(module: str, logs: Path, *options: str) -> dict[str, Any]:
    """What a run with the seed found, which has to end with 0."""
    run = subprocess.run(
        [sys.executable, "-m", module, "--seed", str(SEED), "--json", "--logs", logs, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found
