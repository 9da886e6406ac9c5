"""`rollbook maintenance` as it is deployed, which looks for months of the history every second.

`python -m benchmarks.chaos.maintenance_process`
"""

from __future__ import annotations

import sys

from rollbook_worker.maintenance import periodic

if __name__ == "__main__":
    vars(periodic)["MONTHS_SECONDS"] = 1.0
    sys.exit(periodic.main())
