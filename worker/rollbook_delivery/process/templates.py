"""Renders the messages of the process from a folder of templates."""

from __future__ import annotations

import os

from rollbook.models import Content, Delivery
from rollbook_delivery.process.seams import Render, Unrenderable
from rollbook_delivery.templates import Renderer, TemplateError, TemplateNotFound


def render_from(folder: str | os.PathLike[str]) -> Render:
    """What renders messages from the templates in this folder.

    Raises:
        NotConfigured: the folder cannot be read.
    """
    renderer = Renderer(folder)

    def render(delivery: Delivery) -> Content | None:
        try:
            return renderer.render(delivery)
        except TemplateNotFound:
            return None
        except TemplateError as error:
            raise Unrenderable(f"template {error}") from None

    return render
