"""`rollbook serve`: the HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rollbook_ops.cli.command import command
from rollbook_ops.cli.output import print_error, print_note
from rollbook_shared.install_hint import require_extra
from rollbook_shared.observability.logs import configure_logging
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.settings import LAST_PORT, Settings

if TYPE_CHECKING:
    from rollbook_server.observability.recorder import Recorder


@command(
    examples=("rollbook serve", "rollbook serve --host 0.0.0.0 --port 8787"),
    exit_codes={1: "it cannot listen on the address", 2: "a setting or the registry is missing or invalid"},
)
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=LAST_PORT, help="The port; 0: any that is free.")] = 8787,
) -> None:
    """Serve the HTTP API until Ctrl-C or SIGTERM; running requests are completed.

    `ROLLBOOK_SECRET_KEYS` holds the keys of backends. Browsers need `ROLLBOOK_PUBLIC_KEYS` and
    `ROLLBOOK_USER_TOKEN_PUBLIC_KEY`. `ROLLBOOK_REGISTRY` names the file with the channels and workflows; SIGHUP reads
    it again. `ROLLBOOK_TEMPLATES` names the folder with the templates of feed items. `/openapi.json` describes all
    calls. `/healthz` answers while the process runs, `/readyz` while Redis and Postgres answer it.
    `ROLLBOOK_METRICS_PORT` is where it serves metrics. With `ROLLBOOK_CONSOLE` it shows the console under `/console`;
    `rollbook console accounts add` adds who may log in.
    """
    require_extra("`rollbook serve`", "server", "starlette", "uvicorn", "jwt", "psycopg")
    # Imported late: help and completion need none of this.
    from rollbook_ops.console_tools import console_tools
    from rollbook_ops.server_templates import feed_templates, open_renderer
    from rollbook_server.console.settings import ConsoleSettings
    from rollbook_server.console.tools import ConsoleTools
    from rollbook_server.serve import application, check_address, serve_application
    from rollbook_server.settings import ServerSettings

    settings = Settings.from_env()
    configure_logging(settings)
    console = ConsoleSettings.from_env()
    server = ServerSettings.from_env()
    renderer = open_renderer(settings)
    tools = console_tools(settings, server, console, renderer) if console.is_on else ConsoleTools()
    served = application(settings, server, _recorder(settings), console, tools, feed_templates(renderer))
    try:
        check_address(host, port)
    except OSError as error:
        print_error(f"cannot listen on {host}, port {port}: {error.strerror}; choose others with --host and --port")
        raise typer.Exit(1) from None
    print_note(f"serving on http://{host}:{port}{', with the console under /console' if console.is_on else ''}")
    serve_application(served, host=host, port=port)


def _recorder(settings: Settings) -> Recorder | None:
    """What takes note for metrics; None if the settings give no port for them."""
    if not serve_metrics(settings):
        return None
    from rollbook_server.observability.metrics import server_metrics

    return server_metrics()
