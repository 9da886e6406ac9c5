"""In HTML whatever comes from data is escaped, through every filter and tag; only `safe` says otherwise."""

from __future__ import annotations

import pytest
from tests.support.templates import render, render_html, render_text

DATA = {"a": "<b>&'\"", "br": "x\ny", "list": ["<i>", "<u>"]}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ data.a }}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{% echo data.a %}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ data.list }}", "&lt;i&gt;&lt;u&gt;"),
        ("{{ data.list | join: '<br>' }}", "&lt;i&gt;<br>&lt;u&gt;"),
        ("{{ data.list | first }}", "&lt;i&gt;"),
        ("{{ data.list | json }}", "[&#34;&lt;i&gt;&#34;,&#34;&lt;u&gt;&#34;]"),
        ("{{ data.a | append: '<hr>' | append: data.a }}", "&lt;b&gt;&amp;&#39;&#34;<hr>&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ '<hr>' | prepend: data.a }}", "&lt;b&gt;&amp;&#39;&#34;<hr>"),
        ("{{ data.a | escape }}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ data.a | escape | escape_once }}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ data.br | newline_to_br }}", "x<br>\ny"),
        ("{{ data.br | newline_to_br | truncate: 3, '' }}", "x&lt;b"),
        ("{{ data.br | newline_to_br | slice: 1, 3 }}", "&lt;br"),
        ("{{ data.a | escape | slice: 0, 2 }}", "&lt;b"),
        ("{{ 'Hello NAME' | replace: 'NAME', data.a }}", "Hello &lt;b&gt;&amp;&#39;&#34;"),
        ("{% capture c %}{{ data.a }}{% endcapture %}{{ c }}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{% capture c %}{{ data.a }}{% endcapture %}{{ c | truncate: 4, '' }}", "&lt;b&gt;&amp;"),
        ("{% capture c %}{{ data.a }}{% endcapture %}{{ c | split: '' | first }}", "&lt;"),
        ("{% assign x = data.a | upcase %}{{ x }}", "&lt;B&gt;&amp;&#39;&#34;"),
        ("{% cycle data.a, 'x' %}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{% for x in data.list %}{{ x }}{% endfor %}", "&lt;i&gt;&lt;u&gt;"),
        ("{{ data.none | default: data.a }}", "&lt;b&gt;&amp;&#39;&#34;"),
        ("{{ data.a | url_encode }}", "%3Cb%3E%26%27%22"),
        ("{{ data.a | safe }}", "<b>&'\""),
    ],
)
def test_data_are_escaped(template: str, wanted: str) -> None:
    assert render_html(template, data=DATA) == wanted


def test_text_is_not_escaped() -> None:
    template = "{{ data.a }}{{ data.br | newline_to_br }}{{ data.list | join: '<br>' }}{{ data.a | safe }}"

    assert render_text(template, data=DATA) == "<b>&'\"x<br>\ny<i><br><u><b>&'\""


def test_a_heading_of_html_is_text() -> None:
    files = {"welcome/mail.html.liquid": "---\nsubject: {{ data.a }}\n---\n{{ data.a }}"}

    made = render(files, data=DATA)

    assert (made.subject, made.html) == ("<b>&'\"", "&lt;b&gt;&amp;&#39;&#34;")
