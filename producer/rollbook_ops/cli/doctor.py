"""`rollbook doctor`: checks the deployment and says what to do about each problem."""

from __future__ import annotations

from typing import Final

import typer

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import escape_text, out, print_json
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

_COLOURS: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@command(
    examples=("rollbook doctor", "rollbook doctor --json | jq '.findings[] | select(.level != \"ok\")'"),
    exit_codes={0: "no problems; there may be warnings", 1: "there is a problem"},
)
def doctor(as_json: AsJson = False) -> None:
    """Check Postgres, Redis, the workers, the queues, the outbox and the HTTP server; print what is wrong and what to
    do about it.

    Run it where the application runs, with the application's settings. It changes nothing, takes a few seconds, and
    prints no personal data. It asks the HTTP server if `ROLLBOOK_SERVER_URL` is set, and looks at
    `ROLLBOOK_SECRET_KEYS`, `ROLLBOOK_REGISTRY` and `ROLLBOOK_CONSOLE` where these are.
    """
    require_extra("the doctor", "read", "psycopg")
    from rollbook_ops.doctor import Finding, Level, examine
    from rollbook_server.console.settings import ConsoleSettings
    from rollbook_server.settings import ServerSettings

    findings: list[Finding] = []
    for finding in examine(Settings.from_env(), server=ServerSettings.from_env(), console=ConsoleSettings.from_env()):
        findings.append(finding)
        if not as_json:
            _print_finding(finding.level, finding.name, finding.summary, finding.advice)
    has_problem = any(finding.level is Level.PROBLEM for finding in findings)
    if as_json:
        print_json({"ok": not has_problem, "findings": findings})
    raise typer.Exit(1 if has_problem else 0)


def _print_finding(level: str, name: str, summary: str, advice: str) -> None:
    line = f"[{_COLOURS[level]}]{level:<8}[/] {name:<18} {escape_text(summary)}"
    out.print(line, highlight=False, soft_wrap=True)
    if advice:
        out.print(f"{'':<27} [dim]{escape_text(advice)}[/]", highlight=False, soft_wrap=True)
