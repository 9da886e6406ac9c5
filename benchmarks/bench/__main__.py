"""`python -m benchmarks.bench`: what `./run bench` runs."""

import sys

from benchmarks.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
