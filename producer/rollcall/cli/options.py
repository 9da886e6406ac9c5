"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until it is applied; 0: only send.")]
