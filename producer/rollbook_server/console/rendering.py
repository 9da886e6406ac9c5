"""Makes HTML: Jinja templates that escape everything, and the filters for what pages show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from rollbook_server.console.assets import Assets
from rollbook_server.console.headers import NOT_KEPT, SECURITY_HEADERS
from rollbook_server.console.masking import masked, masked_json
from rollbook_server.console.settings import PATH
from rollbook_shared.json_values import printable

MOST_CHARACTERS: Final = 300
"""Of a value in a table; its own page shows all of it."""
_NOTED_CHARACTERS: Final = 100
"""Where a value may be so long, how long it is stands after what was cut."""
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


class Rendering:
    """Renders templates."""

    def __init__(self, assets: Assets, menu: Iterable[Any]) -> None:
        """Prepare to render.

        menu: the routes that the menu has, in their order.
        """
        self._environment = Environment(
            loader=PackageLoader("rollbook_server.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            time=time_tag,
            duration=format_duration,
            number=format_number,
            bytes=format_bytes,
            value=value_tag,
            private=private_tag,
            private_json=private_json_tag,
            short_id=short_id,
            label=label_text,
        )
        self._environment.globals.update(asset=assets.path_of, link=link, with_query=with_query, menu=tuple(menu))

    def respond(self, template: str, status: int, values: Mapping[str, Any]) -> Response:
        """A page."""
        html = self._environment.get_template(template).render(values)
        return HTMLResponse(html, status, headers={**SECURITY_HEADERS, **NOT_KEPT})

    def fragment(self, template: str, values: Mapping[str, Any]) -> str:
        """A part of a page."""
        return self._environment.get_template(template).render(values)


def link(path: str, *values: str) -> str:
    """The address of a page.

    path: below `/console`, with `{}` for each of the values.
    """
    return PATH + path.format(*(quote(value, safe="") for value in values))


def with_query(path: str, query: Mapping[str, Any], **changes: Any) -> str:
    """The address of a page with a query string, without what is empty; `None` takes a field away."""
    fields = {name: value for name, value in {**query, **changes}.items() if value not in (None, "", [], ())}
    return link(path) + (f"?{urlencode(fields, doseq=True)}" if fields else "")


def time_tag(time: datetime | None) -> Markup:
    """A time, in UTC; the script shows it in the zone of the reader."""
    if time is None:
        return Markup("")
    at = time.astimezone(UTC)
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="milliseconds"), text)


def format_duration(time: timedelta | float | None) -> str:
    """A time span as its two largest units, such as `3 h 20 min`."""
    if time is None:
        return ""
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    parts, left = [], round(seconds)
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def format_number(number: float | None) -> str:
    """A number with thousands set apart."""
    return "" if number is None else f"{number:,}"


def format_bytes(size: float | None) -> str:
    """A size, such as `3.1 KiB`."""
    if size is None:
        return ""
    for unit in ("B", "KiB", "MiB"):
        if size < 1_024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_024
    return f"{size:.1f} GiB"


def value_tag(value: Any, most: int = MOST_CHARACTERS) -> Markup:
    """A value that came from outside, as text that changes nothing around it: JSON, if it is no text; what has no shape
    of its own is escaped, and what is long is cut.
    """
    if value is None:
        return Markup('<span class="none">null</span>')
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    cut = text if len(text) <= most else f"{text[:most]}…"
    lines = "\n".join(printable(line) for line in cut.split("\n"))
    rest = Markup("")
    if cut is not text and most >= _NOTED_CHARACTERS:
        rest = Markup(' <small class="cut">{} characters</small>').format(f"{len(text):,}")
    return Markup("<bdi>{}</bdi>{}").format(lines, rest)


@pass_context
def private_tag(context: Context, value: Any, kind: str = "text", most: int = MOST_CHARACTERS) -> Markup:
    """Personal data: the value, or what is shown in its place; see `masking.masked`."""
    if value is None or value == "":
        return Markup("")
    if context["shows_personal_data"]:
        return value_tag(value, most)
    return Markup('<span class="masked">{}</span>').format(masked(value, kind))


@pass_context
def private_json_tag(context: Context, value: Any, most: int = 20_000) -> Markup:
    """A JSON value with personal data, on lines; without the right only its keys."""
    shown = value if context["shows_personal_data"] else masked_json(value)
    text = json.dumps(shown, ensure_ascii=False, indent=2, default=str)
    return Markup('<pre class="json">{}</pre>').format(value_tag(text, most))


def label_text(text: str) -> str:
    """A text that came from outside, as the name of a field: a line, without control characters."""
    return printable(text[:MOST_CHARACTERS])


def short_id(id_: str) -> Markup:
    """An id of which the middle is left out; the whole is its title."""
    shown = printable(id_)
    if len(shown) <= 20:
        return Markup("<code>{}</code>").format(shown)
    return Markup('<code title="{}">{}…{}</code>').format(shown, shown[:8], shown[-6:])
