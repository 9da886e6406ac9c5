"""Starts Flower with what is the same wherever it runs: the queues, the columns, and what needs the password.

Flower takes its options from the command line and from `FLOWER_...` variables. The password is `FLOWER_BASIC_AUTH`
(`user:password`): every account of a machine can read the arguments of a process.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Final, NoReturn

from flower import command
from tornado.ioloop import IOLoop

from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import Settings
from rollbook_worker.app import app
from rollbook_worker.dashboard.handlers import replace_handlers

DISPLAY: Final = {
    # the default columns show neither the job's summary nor its result or error; these do, without personal data
    "FLOWER_TASKS_COLUMNS": "name,args,state,exception,result,runtime,retries,received,worker,uuid",
    # the default of 100,000 tasks takes a quarter of a gigabyte
    "FLOWER_MAX_TASKS": "10000",
}


def main() -> NoReturn:
    """Run Flower until SIGTERM or Ctrl-C, and exit.

    Python would first wait for the threads of Flower's pool. These ask the workers, and where the broker is away, they
    retry for ever.
    """
    status = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run() -> int:
    try:
        Settings.from_env().need_broker_url()
    except NotConfigured as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return 2
    for name, value in DISPLAY.items():
        os.environ.setdefault(name, value)
    replace_handlers()
    command.sigterm_handler = _stop
    command.Flower = _Flower
    try:
        return app.start(["flower", *sys.argv[1:]]) or 0
    except OSError as error:
        print(f"rollbook: Flower cannot listen: {error.strerror}; choose another --port or --address", file=sys.stderr)
        return 1


class _Flower(command.Flower):  # type: ignore[misc]  # Flower ships no types
    def start(self) -> None:
        """See Flower, which saves its state at the end of the process."""
        try:
            super().start()
        finally:
            self.stop()


def _stop(number: int, frame: FrameType | None) -> None:
    """End Flower between two turns of its loop.

    Its own handler raises `SystemExit` where the signal comes, which may be where Python ignores exceptions.
    """
    loop = IOLoop.current()
    loop.add_callback_from_signal(loop.stop)
