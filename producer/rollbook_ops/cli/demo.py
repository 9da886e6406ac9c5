"""`rollbook demo`: plays a product's life on this machine and checks the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import err, escape_text, out, print_exception, print_json, print_note
from rollbook_ops.cli.signals import StopRequested, stop_on_signals
from rollbook_ops.cli.up import print_urls, urls_of
from rollbook_shared.install_hint import require_extra

if TYPE_CHECKING:
    from rollbook_ops.demo.progress import JobCounts
    from rollbook_ops.demo.scenario import Report
    from rollbook_ops.devstack.stack import LocalStack


@command(
    examples=("rollbook demo", "rollbook demo --users 100000 --seed 7 --json"),
    exit_codes={1: "the result differs from the reference, or a process did not start"},
)
def demo(
    users: Annotated[
        int, typer.Option(min=100, help="Users to import. A fifth of that number of other jobs is sent too.")
    ] = 20_000,
    producers: Annotated[
        int, typer.Option(min=1, max=32, help="Processes that send jobs, in addition to the one that imports.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the random jobs.")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep everything running until Ctrl-C, to look around.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything, send the jobs of a product's life, and compare the result with a simple reference.

    Users sign up, are imported, change, are invited as guests and merged, leave and return, and are notified. Several
    producers send the jobs through the public client, shuffled and some of them twice. When all jobs are applied,
    everything that Postgres shows must equal what the reference computes from the same jobs in order.
    """
    require_extra("the demo", "all", "psycopg", "sqlalchemy", "alembic", "celery")
    # Imported late: help and completion need none of this.
    from rollbook_ops.devstack.errors import ServerFailed
    from rollbook_ops.devstack.stack import LocalStack

    try:
        with stop_on_signals() as signals:
            # Always its own servers: the demo must not write into a database that holds real users.
            stack = LocalStack(flower=flower, durable=False, report=print_note, check=signals.check)
            try:
                report = _run(stack, users, producers, seed)
                _print_report(report, as_json, urls_of(stack) if keep else {})
                if keep:
                    if not as_json:
                        print_urls(stack)
                    print_note("everything keeps running; stop with Ctrl-C")
                    stack.keep_running()
                elif not as_json:
                    print_note("everything stops now; to look around: `rollbook demo --keep`; to use it: `rollbook up`")
            finally:
                stack.stop()
    except StopRequested as stopped:
        print_note("stopped")
        raise typer.Exit(stopped.exit_code) from None
    except ServerFailed as error:
        raise typer.Exit(print_exception(error)) from None
    raise typer.Exit(0 if report.is_good else 1)


def _run(stack: LocalStack, users: int, producers: int, seed: int) -> Report:
    from rollbook_ops.demo.scenario import run_scenario, start_and_prepare
    from rollbook_ops.devstack.folders import own_temporary_folder

    folder = own_temporary_folder()
    try:
        scenario = start_and_prepare(stack, folder.path, users=users, producers=producers, seed=seed)
        if stack.flower_url:
            print_note(f"Flower is at {stack.flower_url} while the demo runs")
        print_note(f"{producers + 1} producers send {len(scenario.jobs)} jobs in random order, some of them twice")
        with _progress_bar(len(scenario.jobs)) as show_progress:
            return run_scenario(stack, scenario, show_progress)
    finally:
        folder.release()


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[JobCounts], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("applying"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} jobs, {task.fields[duplicates]} duplicates"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total, duplicates=0)
        yield lambda counts: progress.update(task, completed=counts.finished, duplicates=counts.duplicates)


def _print_report(report: Report, as_json: bool, urls: dict[str, str]) -> None:
    console = err if as_json else out
    table = Table(show_header=False, title="The demo", title_justify="left")
    rows = {
        "jobs": f"{report.jobs:,}",
        "applied": f"{report.applied:,}",
        "duplicates": f"{report.duplicates:,}",
        "dead": f"{report.dead:,}",
        "users": f"{report.users:,}",
        "jobs per second, all on this machine": f"{report.jobs_per_second:,.0f}",
        "equal to the reference": "[green]yes[/]" if report.is_good else "[bold red]no[/]",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if report.missing:
        some = escape_text(", ".join(report.missing[:5]))
        err.print(f"[bold red]{len(report.missing)} jobs were never applied[/], such as {some}", soft_wrap=True)
    if report.difference:
        err.print("[bold red]The first difference[/] (reference != Postgres):", soft_wrap=True)
        for line in (report.difference.description, "the jobs of that user, by their stamps:", *report.difference.jobs):
            err.print(escape_text(line), soft_wrap=True, highlight=False)
    if as_json:
        print_json(
            {
                "jobs": report.jobs,
                "applied": report.applied,
                "duplicates": report.duplicates,
                "dead": report.dead,
                "users": report.users,
                "equal_to_oracle": report.is_good,
                "seconds": round(report.seconds, 3),
                "jobs_per_second": round(report.jobs_per_second, 1),
                **({"urls": urls} if urls else {}),
            }
        )
