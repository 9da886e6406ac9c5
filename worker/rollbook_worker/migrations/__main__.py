"""Run the migrations: `python -m rollbook_worker.migrations [--print]`."""

import sys

from rollbook_worker.migrations.runner import main

sys.exit(main())
