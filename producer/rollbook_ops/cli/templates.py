"""`rollbook templates`: check the templates of messages, and render one for a user."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from rollbook_ops.cli.command import AsJson, UserId, client_from_env, command
from rollbook_ops.cli.output import escape_text, out, print_error, print_json, print_note
from rollbook_shared.errors import InvalidRequest, NotConfigured, Problem
from rollbook_shared.install_hint import require_extra
from rollbook_shared.json_values import find_value_problem, parse_object
from rollbook_shared.registry import RegistryFile
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook import Rollbook
    from rollbook.models import Content, Delivery

Folder = Annotated[
    Path | None, typer.Option("--templates", metavar="FOLDER", help="Instead of the folder of `ROLLBOOK_TEMPLATES`.")
]


@command(
    examples=("rollbook templates check", "ROLLBOOK_REGISTRY=registry.toml rollbook templates check templates"),
    exit_codes={1: "a template has a problem", 2: "the folder or the registry cannot be read"},
)
def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="By default the folder of `ROLLBOOK_TEMPLATES`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check all templates: their syntax, and the filters, variables, partials and layouts that they name.

    With `ROLLBOOK_REGISTRY`, templates for workflows and channels that it does not have are problems, too. It needs no
    server: run it wherever the application's tests run.
    """
    require_extra("`rollbook templates`", "deliver", "liquid")
    from rollbook_delivery.templates import Renderer
    from rollbook_delivery.templates.check import check_templates

    settings = Settings.from_env()
    templates = Renderer(_folder(folder, settings)).templates
    registry = RegistryFile(settings.registry).current if settings.registry else None
    problems = check_templates(templates, registry)
    if as_json:
        print_json(
            {
                "templates": len(templates.sources),
                "problems": [
                    {"template": problem.template, "line": problem.line, "reason": problem.reason}
                    for problem in problems
                ],
            }
        )
    else:
        for problem in problems:
            out.print(escape_text(str(problem)), soft_wrap=True, highlight=False)
        print_note(f"{len(templates.sources)} templates, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


@command(
    examples=(
        "rollbook templates preview ann welcome email",
        """rollbook templates preview ann comment push --actor bo --data '{"text": "Yes!"}'""",
    ),
    exit_codes={1: "the user is not found, or the template fails"},
)
def preview(
    user_id: UserId,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's key.")],
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's key, or a type such as `email`.")],
    data: Annotated[str, typer.Option(metavar="JSON", help="The trigger's data, an object.")] = "{}",
    actor: Annotated[str | None, typer.Option(metavar="USER_ID", help="Who caused it.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The trigger's tenant.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write HTML; by default WORKFLOW-CHANNEL.html.")
    ] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Render a message for a user as it would be now. Nothing is sent.

    Subject, title, address and text are printed, with their control characters escaped; HTML is written to a file.
    `--json` prints all of them.
    """
    require_extra("`rollbook templates`", "deliver", "liquid", "psycopg")
    from rollbook_delivery.templates import Renderer, TemplateError

    settings = Settings.from_env()
    renderer = Renderer(_folder(folder, settings))
    with client_from_env() as client:
        delivery = _delivery(client, settings, user_id, actor, workflow, channel, _object(data), tenant)
    try:
        content = renderer.render(delivery)
    except TemplateError as error:
        print_error(str(error))
        raise typer.Exit(1) from None
    if as_json:
        print_json(content.as_dict())
    else:
        _print_content(content, html or Path(f"{_file_name(workflow)}-{_file_name(channel)}.html"))


def _folder(given: Path | None, settings: Settings) -> Path:
    if given is None and not settings.templates:
        raise NotConfigured(
            "ROLLBOOK_TEMPLATES is not set; set it to the folder with the templates, or name the folder"
        )
    return given or Path(settings.templates or "")


def _object(text: str) -> dict[str, Any]:
    if (value := parse_object(text)) is None:
        raise InvalidRequest([Problem("--data", "must be a JSON object")])
    if problem := find_value_problem(value, "--data"):
        raise InvalidRequest([Problem(*problem)])
    return value


def _delivery(
    client: Rollbook,
    settings: Settings,
    user_id: str,
    actor_id: str | None,
    workflow: str,
    channel_name: str,
    data: dict[str, Any],
    tenant: str | None,
) -> Delivery:
    from rollbook.models import Delivery

    registry = RegistryFile(settings.registry).current
    channel = registry.channels.get(channel_name) or registry.channel_of_type(channel_name)
    found = registry.workflow(workflow)
    now = datetime.now(UTC)
    return Delivery(
        id=str(uuid4()),
        channel=channel.key,
        type=channel.type,
        provider=channel.provider,
        workflow=workflow,
        tenant=tenant,
        categories=found.categories if found else (),
        data=data,
        occurred_at=now,
        recipient=_user(client, user_id),
        actor=None if actor_id is None else _user(client, actor_id),
        lease_ends_at=now,
    )


def _user(client: Rollbook, user_id: str) -> dict[str, Any]:
    return {name: value for name, value in client.users.get(user_id).as_dict().items() if value is not None}


def _print_content(content: Content, file: Path) -> None:
    headings = (("subject", content.subject), ("title", content.title), ("action_url", content.action_url))
    for name, value in headings:
        if value is not None:
            out.print(f"[bold]{name}[/] {escape_text(value)}", soft_wrap=True, highlight=False)
    if content.text is not None:
        for line in content.text.split("\n"):
            out.print(escape_text(line), soft_wrap=True, highlight=False)
    if content.html is not None:
        file.write_text(content.html, encoding="utf-8")
        print_note(f"HTML: {file}")


def _file_name(key: str) -> str:
    """A key as a part of a file's name: a path in it leads nowhere."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in key)[:100]
