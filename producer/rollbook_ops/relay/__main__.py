"""Run the relay: `python -m rollbook_ops.relay`."""

import sys

from rollbook_shared.install_hint import exit_without_extra

exit_without_extra("the outbox", "read", "psycopg")

from rollbook_ops.relay.relay import main  # noqa: E402

sys.exit(main())
