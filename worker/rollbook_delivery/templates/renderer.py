"""Renders deliveries with the templates of a folder, which may change meanwhile."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

from markupsafe import Markup

from rollbook.models import Content, Delivery
from rollbook_delivery.templates.bounds import HEADING_CHARACTERS, URL_CHARACTERS, RenderBounds
from rollbook_delivery.templates.errors import TemplateError, TemplateNotFound
from rollbook_delivery.templates.failures import render_failure
from rollbook_delivery.templates.front_matter import HEADINGS
from rollbook_delivery.templates.sandbox import render_bounded
from rollbook_delivery.templates.sources import Source, TemplateFolder
from rollbook_delivery.templates.state import RenderState
from rollbook_delivery.templates.template_set import HTML, TEXT, SourceTemplate, TemplateSet, content_of
from rollbook_delivery.templates.variables import variables_of
from rollbook_shared.errors import NotConfigured
from rollbook_shared.json_values import CONTROLS

_CHECK_SECONDS: Final = 1.0
"""Between two looks at the folder: a change takes effect so soon."""
_BREAKS: Final = re.compile(f"[\\s{re.escape(''.join(map(chr, CONTROLS)))}\u2028\u2029]+")
"""What a heading must not hold: a line break would end the header of a mail and begin another."""
_URL: Final = re.compile(r"(?:https?://[^\s/\\]|/(?![/\\]))\S*")
"""Where a message may lead: a page, or a path of the host that shows it. `javascript:` would be a script in its page,
and `//` another host that looks like a path.
"""


class Renderer:
    """Renders deliveries. Threads may share one."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        bounds: RenderBounds | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Read the folder.

        bounds: how much one message may take.
        clock: seconds; when to look whether files have changed.

        Raises:
            NotConfigured: the folder cannot be read.
        """
        self._folder = TemplateFolder(folder)
        self._bounds = bounds or RenderBounds()
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._versions = self._folder.versions()
            self._templates = TemplateSet(self._folder.read())
        except OSError as error:
            raise NotConfigured(f"the folder of templates {folder} cannot be read: {error.strerror}") from None
        self._checked_at = clock()

    @property
    def templates(self) -> TemplateSet:
        """The templates as they are now: at most a second old."""
        if self._clock() - self._checked_at >= _CHECK_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._reload_if_changed()
                self._checked_at = self._clock()
            finally:
                self._lock.release()
        return self._templates

    def render(self, delivery: Delivery) -> Content:
        """Render the message of a delivery. The result is the same for each attempt, unless templates have changed.

        Raises:
            TemplateNotFound: there is no template for its workflow and channel.
            TemplateError: a template is not valid, or fails with these data: give the message up.
        """
        return render_content(self.templates, delivery, self._bounds)

    def _reload_if_changed(self) -> None:
        try:
            versions = self._folder.versions()
            if versions != self._versions:
                # Versions first: what changes while it is read is read again next time.
                self._templates = TemplateSet(self._folder.read())
                self._versions = versions
        except (
            OSError,
            NotConfigured,
        ):  # such as while a deployment replaces the folder: what was read before still holds
            return


def render_content(templates: TemplateSet, delivery: Delivery, bounds: RenderBounds) -> Content:
    """Render a delivery with these templates.

    Raises:
        TemplateNotFound, TemplateError: see `Renderer.render`.
    """
    sources = templates.find(delivery.workflow, delivery.channel, delivery.type, delivery.recipient.get("locale"))
    if not sources:
        raise TemplateNotFound(f"{delivery.workflow}/{delivery.channel}", None, "there is no template")
    variables = variables_of(delivery)
    state = RenderState(bounds, variables["recipient"], delivery.occurred_at)
    headings = {key: _heading(templates, sources, key, variables, state) for key in HEADINGS}
    parts = {
        format: _part(templates, source, format, variables | headings, state) for format, source in sources.items()
    }
    text = parts.get(TEXT)
    return Content(**headings, text=None if text is None else text.strip(), html=parts.get(HTML))


def _heading(
    templates: TemplateSet, sources: Mapping[str, Source], key: str, variables: Mapping[str, Any], state: RenderState
) -> str | None:
    found = [(source, template) for source in sources.values() if (template := templates.heading(source, key))]
    if len(found) > 1:
        raise TemplateError(found[1][0].name, None, f"{found[0][0].name} has a {key}, too")
    if not found:
        return None
    source, template = found[0]
    text = _BREAKS.sub(" ", _render(template, variables, state)).strip()
    if key == "action_url":
        return _checked_url(text, source)
    return text if len(text) <= HEADING_CHARACTERS else text[: HEADING_CHARACTERS - 1] + "…"


def _checked_url(text: str, source: Source) -> str | None:
    """The address; None: the template gives none for these data."""
    if not text:
        return None
    line = content_of(source).entries["action_url"].line
    if len(text) > URL_CHARACTERS:
        raise TemplateError(source.name, line, f"`action_url` is longer than {URL_CHARACTERS:,} characters")
    if _URL.fullmatch(text) is None:
        raise TemplateError(source.name, line, "`action_url` begins with none of https://, http:// and /")
    return text


def _part(templates: TemplateSet, source: Source, format: str, variables: Mapping[str, Any], state: RenderState) -> str:
    layout = templates.layout(source, format)
    body = _render(templates.body(source, format), variables, state)
    if layout is None:
        return body
    content = Markup(body) if format == HTML else body
    return _render(templates.body(layout, format), {**variables, "content": content}, state)


def _render(template: SourceTemplate, variables: Mapping[str, Any], state: RenderState) -> str:
    try:
        return render_bounded(template, variables, state)
    except TemplateError:
        raise
    except Exception as error:  # an interrupt of a loop that reached the top
        raise render_failure(error, template.source_name, template.first_line) from None
