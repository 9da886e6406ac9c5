"""`python -m rollbook_ops.cli`: the command without its script, as a process starts it."""

from __future__ import annotations

from rollbook_ops.cli import main

if __name__ == "__main__":
    main()
