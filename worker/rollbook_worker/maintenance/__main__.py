"""Run the maintenance process: `python -m rollbook_worker.maintenance`."""

import sys

from rollbook_worker.maintenance.periodic import main

sys.exit(main())
