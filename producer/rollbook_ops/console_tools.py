"""What the console's pages use that the server may not import: the doctor, and the templates of senders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rollbook.errors import NotConfigured
from rollbook.models import Content, Delivery
from rollbook_ops.doctor import Finding, examine
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.console.tools import ConsoleTools, PreviewFailed, TemplatePreviews
from rollbook_server.settings import ServerSettings
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_delivery.templates import Renderer

logger = logging.getLogger(__name__)


def console_tools(settings: Settings, server: ServerSettings, console: ConsoleSettings) -> ConsoleTools:
    """The tools of a server with these settings."""

    def findings() -> Sequence[Finding]:
        return list(examine(settings, server=server, console=console))

    return ConsoleTools(examine=findings, templates=_previews(settings))


def _previews(settings: Settings) -> TemplatePreviews | None:
    if not settings.templates or find_spec("liquid") is None:
        return None
    # imported here: a server without templates needs none of this
    from rollbook_delivery.templates import Renderer

    try:
        return SenderTemplates(Renderer(settings.templates))
    except NotConfigured as error:
        logger.warning("the console shows no templates: %s", error)
        return None


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
