"""`python -m benchmarks.chaos`, whose Python processes are forked: a short run starts thirty of them."""

from __future__ import annotations

import sys

from benchmarks.chaos.command import main
from tests.support.python_processes import spawn_forked

from rollbook_ops.devstack import processes

if __name__ == "__main__":
    processes.spawn = spawn_forked
    sys.exit(main())
