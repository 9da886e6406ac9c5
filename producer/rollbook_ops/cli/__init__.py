"""The command `rollbook`."""

from __future__ import annotations

import gc
import io
import os
import sys
from contextlib import suppress
from typing import NoReturn

_GC_THRESHOLD = 20_000
_NEEDED = ("typer", "rich", "click")


def main() -> None:
    """Run the command line of `sys.argv`, and exit."""
    # Imports make many objects that stay, and a command is short: do not look for garbage among them so often.
    gc.set_threshold(_GC_THRESHOLD)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed by the parent process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError):  # a descriptor that was replaced, as a process that forks commands does
                stream.reconfigure(errors="backslashreplace")  # a terminal or a pipe may not be in UTF-8
    try:
        if sys.argv[1:2] == ["worker"] and "--help" not in sys.argv:
            _run_worker(sys.argv[2:])
        try:
            import rich  # noqa: F401
            import typer  # noqa: F401
        except ModuleNotFoundError as error:
            if error.name not in _NEEDED:
                raise
            from rollbook_shared.install_hint import missing_extra

            sys.exit(f"rollbook: {missing_extra('the command line', 'cli')}")
        from rollbook_ops.cli.app import run

        run()
    except KeyboardInterrupt:  # during the imports
        sys.exit(130)


def _run_worker(options: list[str]) -> NoReturn:
    """Run a worker without all other commands, which would be a twentieth of its memory."""
    from rollbook_shared.install_hint import exit_without_extra

    exit_without_extra("a worker", "worker", "celery", "psycopg")
    from rollbook_worker.command_line import main

    main(options)
