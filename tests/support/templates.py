"""Deliveries and folders of templates, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rollbook.models import Content, Delivery
from rollbook_delivery.templates import RenderBounds, TemplateError
from rollbook_delivery.templates.renderer import render_content
from rollbook_delivery.templates.sources import Source, parse_source
from rollbook_delivery.templates.template_set import TemplateSet

AT: Final = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)


def delivery(**changes: Any) -> Delivery:
    """A delivery of `welcome` to Ann by e-mail."""
    fields: dict[str, Any] = {
        "id": "message-1",
        "channel": "mail",
        "type": "email",
        "workflow": "welcome",
        "data": {},
        "occurred_at": AT,
        "recipient": {"id": "ann", "name": "Ann", "properties": {}},
        "lease_ends_at": AT + timedelta(seconds=30),
    }
    return Delivery(**fields | changes)


def template_set(files: Mapping[str, str]) -> TemplateSet:
    """Templates that are in no folder."""
    return TemplateSet({name: Source(name, parse_source(text.encode())) for name, text in files.items()})


def write_templates(folder: Path, files: Mapping[str, str]) -> Path:
    """Write templates into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def render(files: Mapping[str, str], *, bounds: RenderBounds | None = None, **changes: Any) -> Content:
    """Render a delivery with these templates."""
    return render_content(template_set(files), delivery(**changes), bounds or RenderBounds())


def render_text(template: str, *, bounds: RenderBounds | None = None, **changes: Any) -> str:
    """What a template of text makes."""
    text = render({"welcome/mail.liquid": template}, bounds=bounds, **changes).text
    assert text is not None
    return text


def render_html(template: str, *, bounds: RenderBounds | None = None, **changes: Any) -> str:
    """What a template of HTML makes."""
    html = render({"welcome/mail.html.liquid": template}, bounds=bounds, **changes).html
    assert html is not None
    return html


def failure(template: str, *, bounds: RenderBounds | None = None, **changes: Any) -> str:
    """How a template of text fails."""
    try:
        made = render_text(template, bounds=bounds, **changes)
    except TemplateError as error:
        return str(error)
    raise AssertionError(f"it made {made[:100]!r}")
