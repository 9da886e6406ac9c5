"""`rollcall relay`: send what the outbox holds."""

from __future__ import annotations

import sys

from rollcall.cli.outbox import need_drivers
from rollcall.cli.teaching import taught


@taught(
    "rollcall relay",
    "ROLLCALL_OUTBOX_URL=postgresql://app@db/app rollcall relay",
    exits={0: "asked to end, and ended", 1: "it cannot go on"},
)
def relay() -> None:
    """Send the jobs of the outbox, and again until a worker has decided them, until Ctrl-C or SIGTERM.

    `ROLLCALL_OUTBOX_URL` names the application's database (by default that of `ROLLCALL_DATABASE_URL`), and
    `ROLLCALL_RESEND_SECONDS` how long a job may be undecided before it is sent again (60). With `ROLLCALL_HEALTH_FILE`
    it says in that file that it is well. Several relays share the work. `rollcall outbox show` says what is left.
    """
    need_drivers()
    from rollcall.outbox.relay import main

    sys.exit(main())
