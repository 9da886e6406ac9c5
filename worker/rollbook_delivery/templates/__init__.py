"""Messages from Liquid templates: a folder by workflow and channel, rendered within bounds."""

from rollbook_delivery.templates.bounds import RenderBounds
from rollbook_delivery.templates.errors import TemplateError, TemplateNotFound
from rollbook_delivery.templates.renderer import Renderer

__all__ = ["RenderBounds", "Renderer", "TemplateError", "TemplateNotFound"]
