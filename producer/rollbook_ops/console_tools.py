"""What the console's pages use that the server may not import: the doctor, and the templates of senders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rollbook.models import Content, Delivery
from rollbook_ops.doctor import Finding, examine
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.console.tools import ConsoleTools, PreviewFailed, TemplatePreviews
from rollbook_server.settings import ServerSettings
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_delivery.templates import Renderer


def console_tools(
    settings: Settings, server: ServerSettings, console: ConsoleSettings, renderer: Renderer | None
) -> ConsoleTools:
    """The tools of a server with these settings.

    renderer: of its templates, if it has some.
    """

    def findings() -> Sequence[Finding]:
        return list(examine(settings, server=server, console=console))

    previews: TemplatePreviews | None = None if renderer is None else SenderTemplates(renderer)
    return ConsoleTools(examine=findings, templates=previews)


class SenderTemplates:
    """See `TemplatePreviews`. Threads may share it."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def names(self) -> Sequence[str]:
        """See `TemplatePreviews`."""
        return sorted(self._renderer.templates.sources)

    def render(self, delivery: Delivery) -> Content:
        """See `TemplatePreviews`."""
        from rollbook_delivery.templates import TemplateError

        try:
            return self._renderer.render(delivery)
        except TemplateError as error:
            raise PreviewFailed(str(error)) from None
