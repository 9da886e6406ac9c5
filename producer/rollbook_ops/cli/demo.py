"""`rollbook demo`: a product's life, played on this machine and checked at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson
from rollbook_ops.cli.output import err, fail, out, print_json, say, shown
from rollbook_ops.cli.signals import Stopped, stopping_on_signals
from rollbook_ops.cli.up import print_urls, urls_of
from rollbook_shared.install_hint import require_extra

if TYPE_CHECKING:
    from rollbook_ops.demo.progress import Counts
    from rollbook_ops.demo.scenario import Report
    from rollbook_ops.devstack.stack import LocalStack


@taught(
    "rollbook demo",
    "rollbook demo --users 100000 --seed 7 --json",
    exits={1: "something differs from the reference, or did not start"},
)
def demo(
    users: Annotated[int, typer.Option(min=100, help="Users to import; a fifth as many other jobs are sent.")] = 20_000,
    producers: Annotated[
        int, typer.Option(min=1, max=32, help="Processes that send, beside the one that imports.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Another seed, another life.")] = 1,
    flower: Annotated[bool, typer.Option(help="Start Flower, the dashboard.")] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C, to look around.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything, play a product's life through it, and check the result against a plain reference.

    Users sign up, are imported, change, are invited as guests and merged, leave and come back, and are notified.
    Several producers send the jobs through the public face, shuffled and some of them twice. When all is applied,
    everything that Postgres shows must equal what a reference gets from the same jobs in order.
    """
    require_extra("the demo", "all", "psycopg", "sqlalchemy", "alembic")
    # not before they are needed: they take their time
    from rollbook_ops.devstack.errors import ServerFailed
    from rollbook_ops.devstack.stack import LocalStack

    try:
        with stopping_on_signals() as stopping:
            # Always servers of its own: it would not do to play with somebody's users.
            stack = LocalStack(flower=flower, durable=False, say=say, check=stopping.check)
            try:
                report = _run(stack, users, producers, seed)
                _show(report, stack, as_json, urls_of(stack) if keep else {})
                if keep:
                    if not as_json:
                        print_urls(stack)
                    say("everything keeps running; stop with Ctrl-C")
                    stack.watch()
            finally:
                stack.stop()
    except Stopped as stopped:
        say("stopped")
        raise typer.Exit(stopped.exit_code) from None
    except ServerFailed as error:
        raise typer.Exit(fail(error)) from None
    raise typer.Exit(0 if report.is_good else 1)


def _run(stack: LocalStack, users: int, producers: int, seed: int) -> Report:
    from rollbook_ops.demo.scenario import play, start_and_write
    from rollbook_ops.devstack.folders import own_temporary_folder

    folder = own_temporary_folder()
    try:
        script = start_and_write(stack, folder.path, users=users, producers=producers, seed=seed)
        if stack.flower_url:
            say(f"Flower is at {stack.flower_url}")
        say(f"{producers + 1} producers send {len(script.jobs)} jobs, some of them twice, in no order")
        with _progress(len(script.jobs)) as advance:
            return play(stack, script, advance)
    finally:
        folder.release()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Counts], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("applying"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} jobs, {task.fields[again]} duplicates"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=total, again=0)
        yield lambda counts: bar.update(task, completed=counts.decided, again=counts.duplicates)


def _show(report: Report, stack: LocalStack, as_json: bool, urls: dict[str, str]) -> None:
    console = err if as_json else out
    table = Table(show_header=False, title="The demo", title_justify="left")
    rows = {
        "jobs": f"{report.jobs:,}",
        "applied": f"{report.applied:,}",
        "duplicates": f"{report.duplicates:,}",
        "dead": f"{report.dead:,}",
        "users": f"{report.users:,}",
        "jobs per second": f"{report.jobs_per_second:,.0f}",
        "equal to the reference": "[green]yes[/]" if report.is_good else "[bold red]no[/]",
        "Flower": stack.flower_url or "not running",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if report.missing:
        some = shown(", ".join(report.missing[:5]))
        err.print(f"[bold red]{len(report.missing)} jobs were never applied[/], such as {some}", soft_wrap=True)
    if report.difference:
        err.print("[bold red]The first difference[/] (reference != Postgres):", soft_wrap=True)
        for line in (report.difference.what, "the jobs of that user, by their stamps:", *report.difference.jobs):
            err.print(shown(line), soft_wrap=True, highlight=False)
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
