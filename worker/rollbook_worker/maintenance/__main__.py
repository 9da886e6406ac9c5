"""Run the maintenance process: `python -m rollbook_worker.maintenance`."""

import sys

from rollbook_shared.install_hint import exit_without_extra

exit_without_extra("maintenance", "worker", "psycopg")

from rollbook_worker.maintenance.periodic import main  # noqa: E402

sys.exit(main())
