"""`python -m benchmarks.chaos`: what `./run chaos` runs."""

import sys

from benchmarks.chaos.command import main

if __name__ == "__main__":
    sys.exit(main())
