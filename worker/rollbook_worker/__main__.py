"""Run a worker: `python -m rollbook_worker`, as `rollbook worker` does."""

import sys

from rollbook_shared.install_hint import exit_without_extra

exit_without_extra("a worker", "worker", "celery", "psycopg")

from rollbook_worker.command_line import main  # noqa: E402

main(sys.argv[1:])
