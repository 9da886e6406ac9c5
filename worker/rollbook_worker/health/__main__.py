"""Ask whether the process beside us is well: `python -m rollbook_worker.health [--ready] [--max-age 10]`.

Reads the file that ROLLBOOK_HEALTH_FILE names; imports nothing large and connects to nothing. Exit code 0: it is; 1: it
is not, and the line printed says why.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rollbook_shared.observability.health_file import HealthState, read_health


def trouble(path: Path, *, max_age: float, ready: bool) -> str | None:
    """What is wrong with the process that tells of itself in this file; None: nothing."""
    health = read_health(path)
    if health is None:
        return "it has not started, or has ended: there is no file"
    if health.age > max_age:
        return f"it hangs or was killed: it said {health.state} {health.age:.0f} s ago"
    if ready and health.state != HealthState.READY:
        return f"it is {health.state}, and takes no jobs"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rollbook_worker.health", description="Whether a worker, maintenance or a relay is well."
    )
    parser.add_argument("--max-age", type=float, default=10.0, help="seconds the last sign of life may be old (10)")
    parser.add_argument("--ready", action="store_true", help="ask also whether it takes jobs")
    arguments = parser.parse_args()
    path = os.environ.get("ROLLBOOK_HEALTH_FILE")
    if not path:
        print("rollbook: ROLLBOOK_HEALTH_FILE is not set, such as /tmp/rollbook-health", file=sys.stderr)
        return 2
    wrong = trouble(Path(path), max_age=arguments.max_age, ready=arguments.ready)
    print(wrong or "well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
