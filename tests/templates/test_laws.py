"""For any data a template gives bounded text, escaped in HTML, or an error without a value of the data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from tests.support.example_counts import examples
from tests.support.templates import AT, delivery, template_set

from rollbook.models import Content
from rollbook_delivery.templates import RenderBounds, TemplateError
from rollbook_delivery.templates.filters import FILTERS, apply_filter
from rollbook_delivery.templates.renderer import render_content
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.template_set import TemplateSet
from rollbook_delivery.templates.text import to_text
from rollbook_shared.json_values import encode_json

HOSTILE = (
    "<script>alert(1)</script>",
    "</b><img src=x onerror=y>",
    "'\"><svg/onload=1>",
    "{{ recipient.email }}",
    "{% render 'footer' %}",
    "{% raw %}",
    "\r\nBcc: eve@example.com\r\n\r\n",
    "a\u2028b\u2029c\x85d",
    "\u202egnp.exe\u202c",
    "שלום עולם",
    "مرحبا",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301\u0323" * 20,
    "&amp;&lt;&#60;&lt",
    "<" * 300,
    "x" * 3_000,
    "2026-03-14T23:30:00Z",
    "9" * 400,
    "nan",
    "%Q%-",
    "",
)
texts = st.sampled_from(HOSTILE) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
BOUNDS = RenderBounds()

BODY = """\
{{ data.a }}|{{ data.b | default: "-" }}|{% for item in data.list %}{{ item }},{{ item | json }}{% endfor %}
<a title="{{ data.a }}" href='/{{ data.b | url_encode }}'>{{ data.a | append: "<i>" | append: data.b }}</a>
{% capture both %}{{ data.a }} & {{ data.b }}{% endcapture %}{{ both }}{{ both | truncate: 9 }}{{ both | upcase }}
{% assign parts = both | split: " " %}{{ parts | join: "<br>" }}{{ parts | first | slice: 0, 3 }}
{{ data.a | newline_to_br }}{{ data.a | newline_to_br | truncate: 12 }}{{ data.b | escape | slice: 1, 4 }}
{% if data.a == data.b %}same{% elsif data.list contains data.a %}in{% endif %}{{ data.list | sort_natural | uniq }}
{% render "part", value: data.a %}{% cycle data.a, data.b %}{% echo data.list %}{{ recipient.name | strip_html }}"""
FILES = {
    "welcome/mail.html.liquid": f"---\nsubject: {{{{ data.a }}}} {{{{ recipient.name }}}}\nlayout: frame\n---\n{BODY}",
    "welcome/mail.txt.liquid": BODY,
    "_layouts/frame.html.liquid": "<h1>{{ subject }}</h1>{{ content }}",
    "_partials/part.liquid": "[{{ value }}]",
}
TEMPLATES = template_set(FILES)
SAFE_ERROR = r"[\w./]+:\d+: (the filter `\w+` |a value is |these values |it is longer )[\w ,`]+"
TAGS = {"h1", "a", "i", "br"}


class Tags(HTMLParser):
    """What a browser sees of the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))


def content_or_error(templates: TemplateSet, data: Any, **recipient: Any) -> Content | TemplateError:
    try:
        return render_content(templates, delivery(data=data, recipient={"id": "ann", **recipient}), BOUNDS)
    except TemplateError as error:
        return error


@examples(150)
@given(a=values, b=values, items=st.lists(values, max_size=3), name=texts)
def test_any_data_give_escaped_text_or_a_safe_error(a: Any, b: Any, items: list[Any], name: str) -> None:
    made = content_or_error(TEMPLATES, {"a": a, "b": b, "list": items}, name=name, email="ann@example.com")

    if isinstance(made, TemplateError):
        assert re.fullmatch(
            r"[\w./]+:\d+: (the filter `\w+` |a value is |these values |it is longer )[\w ,`]+", str(made)
        ), made
        return
    assert made.html is not None
    assert made.text is not None
    assert made.subject is not None
    assert made.subject == " ".join(made.subject.split())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", made.subject)
    assert len(made.subject) <= 250
    for tag, attributes in Tags(made.html).seen:
        assert tag in TAGS
        assert set(attributes) <= {"title", "href"}
    assert "ann@example.com" not in made.html + made.text, "Liquid in data was evaluated"
    assert not isinstance(a, str) or made.html.split("</h1>")[1].startswith(f"{escape(a)}|")


@examples(300)
@given(value=values, arguments=st.lists(values, max_size=2), name=st.sampled_from(sorted(set(FILTERS) - {"safe"})))
def test_no_filter_makes_markup_of_data(value: Any, arguments: list[Any], name: str) -> None:
    try:
        made = apply_filter(RenderState(BOUNDS, {}, AT), True, name, FILTERS[name], value, *arguments)
    except FilterProblem as error:
        reason = str(error)
    else:
        reason = ""
        assert not set(Tags(to_text(made, escape=True)).seen) - {("br", ())}

    assert not [text for text in (value, *arguments) if isinstance(text, str) and text[12:] and text in reason]


@examples(50)
@given(value=values)
def test_json_of_a_value_is_its_json(value: Any) -> None:
    templates = template_set({"welcome/mail.liquid": "[{{ data.value | json }}]"})

    made = render_content(templates, delivery(data={"value": value}), BOUNDS)

    assert made.text == f"[{encode_json(value).decode()}]"
