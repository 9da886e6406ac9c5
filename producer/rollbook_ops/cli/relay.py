"""`rollbook relay`: send what the outbox holds."""

from __future__ import annotations

import sys

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.outbox import need_drivers


@taught(
    "rollbook relay",
    "ROLLBOOK_OUTBOX_URL=postgresql://app@db/app rollbook relay",
    exits={0: "asked to end, and ended", 2: "a setting is missing or cannot be used"},
)
def relay() -> None:
    """Send the jobs of the outbox, and again until a worker has decided them, until Ctrl-C or SIGTERM.

    `ROLLBOOK_OUTBOX_URL` names the application's database (by default that of `ROLLBOOK_DATABASE_URL`), and
    `ROLLBOOK_OUTBOX_RESEND_SECONDS` how long a job may be undecided before it is sent again (60). With
    `ROLLBOOK_HEALTH_FILE`
    it says in that file that it is well. Several relays share the work. `rollbook outbox show` says what is left.
    """
    need_drivers()
    from rollbook_ops.relay.relay import main

    sys.exit(main())
