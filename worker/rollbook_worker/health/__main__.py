"""Check the health of another process: `python -m rollbook_worker.health [--ready] [--max-age 10]`.

Reads the file that ROLLBOOK_HEALTH_FILE names. Imports nothing large and connects to nothing. Exit code 0: the process
is healthy. Exit code 1: it is not, and the printed line says why.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rollbook_shared.observability.health_file import HealthState, read_health


def find_problem(path: Path, *, max_age: float, ready: bool) -> str | None:
    """What is wrong with the process that writes this file; None if nothing is."""
    health = read_health(path)
    if health is None:
        return "the process has not started, or has ended: there is no health file"
    if health.age > max_age:
        return f"the process hangs or was killed: it reported {health.state} {health.age:.0f} s ago"
    if ready and health.state != HealthState.READY:
        return f"the process is {health.state}, and takes no jobs"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m rollbook_worker.health",
        description="Check whether a worker, maintenance or a relay is healthy.",
    )
    parser.add_argument("--max-age", type=float, default=10.0, help="maximum age of the last report in seconds (10)")
    parser.add_argument("--ready", action="store_true", help="also check that it takes jobs")
    arguments = parser.parse_args()
    path = os.environ.get("ROLLBOOK_HEALTH_FILE")
    if not path:
        print(
            "rollbook: ROLLBOOK_HEALTH_FILE is not set; set it to a path such as /tmp/rollbook-health", file=sys.stderr
        )
        return 2
    problem = find_problem(Path(path), max_age=arguments.max_age, ready=arguments.ready)
    print(problem or "healthy")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
