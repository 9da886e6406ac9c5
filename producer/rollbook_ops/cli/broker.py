"""`rollbook broker`: to which database the queues in Redis belong, and how another takes them over."""

from __future__ import annotations

from typing import Annotated

import typer

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import fields_table, out, print_json, print_note
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings


@command(
    examples=("rollbook broker show", "rollbook broker show --json | jq .owner"),
    exit_codes={
        0: "the queues belong to this database, or to none yet",
        1: "they belong to another, or a server is away",
    },
)
def show(as_json: AsJson = False) -> None:
    """Show to which database the queues in Redis belong, and how many messages are in them.

    The first worker notes the id of its database beside the queues. Workers of another database take nothing there.
    """
    require_extra("reading the store id", "read", "psycopg")
    from rollbook_ops.doctor.redis import open_redis
    from rollbook_shared.database.store_id import read_store_id
    from rollbook_shared.observability.inspection import find_queues
    from rollbook_shared.queue_owner import find_owner

    settings = Settings.from_env()
    store_id = read_store_id(settings.need_database_url(), settings.schema)
    with open_redis(settings.need_broker_url()) as client:
        owner, queues = find_owner(client), find_queues(client)
    fields = {
        "owner": owner,
        "this database": store_id,
        **{queue.name: queue.jobs for queue in queues.queues},
        "in flight": queues.in_flight.messages,
    }
    if as_json:
        print_json(fields)
    else:
        out.print(fields_table("Queues", fields))
    if owner not in (None, store_id):
        raise typer.Exit(1)


@command(examples=("rollbook broker adopt --yes",), exit_codes={1: "a server is not available"})
def adopt(
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm that the jobs in the queues are for this database.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Note this database as the one to which the queues in Redis belong.

    Its workers then take the jobs that wait there, and workers of another database stop. So first stop those workers,
    or let them empty the queues.
    """
    if not yes:
        raise typer.BadParameter("the jobs in the queues go to this database; confirm with --yes", param_hint="--yes")
    require_extra("reading the store id", "read", "psycopg")
    from rollbook_ops.doctor.redis import open_redis
    from rollbook_shared.database.store_id import read_store_id
    from rollbook_shared.queue_owner import OWNER_KEY

    settings = Settings.from_env()
    store_id = read_store_id(settings.need_database_url(), settings.schema)
    with open_redis(settings.need_broker_url()) as client:
        client.set(OWNER_KEY, store_id)
    if as_json:
        print_json({"owner": store_id})
    else:
        print_note("the queues in Redis belong to this database")
