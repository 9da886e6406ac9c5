"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from rollbook_ops.cli.output import want_json

AsJson = Annotated[
    bool, typer.Option("--json", callback=want_json, help="Print one JSON value on stdout, for programs.")
]
Wait = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Wait until it is applied; 0: only send.")]
UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="How many on a page, 1 to 1,000.")]
After = Annotated[str | None, typer.Option(metavar="PLACE", help="Go on after the page that ended so.")]
