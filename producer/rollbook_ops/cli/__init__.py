"""The command `rollbook`."""

from __future__ import annotations

import os
import sys

_NEEDED = ("typer", "rich", "click")


def main() -> None:
    """Run the command line of `sys.argv`, and exit."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed by the parent process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
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
