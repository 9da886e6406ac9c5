"""`rollbook doctor`: is all well, and what to do if not."""

from __future__ import annotations

from typing import Final

import typer

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson
from rollbook_ops.cli.output import out, print_json, shown
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

_COLOURS: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@taught(
    "rollbook doctor",
    "rollbook doctor --json | jq '.findings[] | select(.level != \"ok\")'",
    exits={0: "all is well, or there are only warnings", 1: "there is a problem"},
)
def doctor(as_json: AsJson = False) -> None:
    """Look at Postgres, Redis, the workers and what waits, and say what is wrong and what to do about it.

    Run it where the application runs, with its settings. It changes nothing, takes a few seconds, and shows no personal
    data.
    """
    require_extra("the doctor", "read", "psycopg")
    from rollbook_ops.doctor import Finding, Level, examine

    findings: list[Finding] = []
    for finding in examine(Settings.from_env()):
        findings.append(finding)
        if not as_json:
            _show(finding.level, finding.name, finding.said, finding.advice)
    has_problem = any(finding.level is Level.PROBLEM for finding in findings)
    if as_json:
        print_json({"ok": not has_problem, "findings": findings})
    raise typer.Exit(1 if has_problem else 0)


def _show(level: str, name: str, said: str, advice: str) -> None:
    line = f"[{_COLOURS[level]}]{level:<8}[/] {name:<15} {shown(said)}"
    out.print(line, highlight=False, soft_wrap=True)
    if advice:
        out.print(f"{'':<24} [dim]{shown(advice)}[/]", highlight=False, soft_wrap=True)
