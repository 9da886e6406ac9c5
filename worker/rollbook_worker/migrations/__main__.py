"""Run the migrations: `python -m rollbook_worker.migrations [--print]`."""

import sys

from rollbook_shared.install_hint import exit_without_extra

exit_without_extra("migrating", "worker", "alembic", "sqlalchemy", "psycopg")

from rollbook_worker.migrations.runner import main  # noqa: E402

sys.exit(main())
