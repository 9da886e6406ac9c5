"""The templates of the HTTP server: of feed items, and for the console's previews. The server may not import them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rollbook_shared.errors import NotConfigured
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_delivery.templates import Renderer
    from rollbook_server.feed_contents import FeedTemplates

logger: Final = logging.getLogger("rollbook.server")


def open_renderer(settings: Settings) -> Renderer | None:
    """What renders the templates; None: there are none, or they cannot be used, which stops nothing else."""
    if settings.templates is None:
        return None
    try:
        require_extra("ROLLBOOK_TEMPLATES", "deliver", "liquid")
        # imported here: a server without templates needs none of this
        from rollbook_delivery.templates import Renderer

        return Renderer(settings.templates)
    except NotConfigured as error:
        logger.warning("feed items have no content, and the console shows no templates: %s", error)
        return None


def feed_templates(renderer: Renderer | None) -> FeedTemplates | None:
    """The templates of feed items; None: they have no content."""
    if renderer is None:
        return None
    from rollbook_ops.feed_templates import FolderFeedTemplates

    return FolderFeedTemplates(renderer)
