"""`rollbook messages`: explain messages."""

from __future__ import annotations

from typing import Annotated

import typer

from rollbook_ops.cli import explanations
from rollbook_ops.cli.command import AsJson, client_from_env, command
from rollbook_ops.cli.output import print_error, print_json


@command(
    examples=(
        "rollbook messages explain 6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11",
        "rollbook messages explain --job-id comment-17 --user-id bo --channel email",
    ),
    exit_codes={1: "there is no such message; `rollbook jobs get` says which recipients a trigger skipped"},
)
def explain(
    message_id: Annotated[str | None, typer.Argument(metavar="[MESSAGE_ID]", help="The message's id.")] = None,
    job_id: Annotated[
        str | None, typer.Option("--job-id", metavar="JOB_ID", help="The trigger's job, in place of the message's id.")
    ] = None,
    user_id: Annotated[
        str | None, typer.Option("--user-id", metavar="USER_ID", help="With it: the recipient as the trigger named it.")
    ] = None,
    channel: Annotated[str, typer.Option(metavar="TYPE", help="With it: the type of the channel.")] = "in_app",
    as_json: AsJson = False,
) -> None:
    """Show whose a message is and why, which preference settings let it through or stopped it, and its delivery.

    A message that preferences stopped is in no list, so it has no id to copy: give its trigger's job and recipient.
    """
    if (message_id is None) == (job_id is None) or (job_id is None) != (user_id is None):
        raise typer.BadParameter("give a MESSAGE_ID, or --job-id and --user-id")
    with client_from_env() as client:
        if message_id is not None:
            explanation = client.messages.explain(message_id)
        else:
            explanation = client.messages.explain_recipient(job_id or "", user_id or "", channel=channel)
    if explanation is None:
        print_error("there is no such message; `rollbook jobs get` says which recipients the trigger skipped")
        raise typer.Exit(1)
    if as_json:
        print_json(explanation.as_dict())
    else:
        explanations.print_message(explanation)
