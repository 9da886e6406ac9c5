"""`python -m benchmarks.chaos`, which `./run chaos` is short for."""

import sys

from benchmarks.chaos.command import main

if __name__ == "__main__":
    sys.exit(main())
