"""Whatever a template and its data do, a rendering ends soon, with a bounded result or an error that says why."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from time import thread_time

import pytest
from tests.support.templates import AT, failure, render, render_text

from rollbook_delivery.templates import RenderBounds, TemplateError
from rollbook_delivery.templates.bounds import ITEMS
from rollbook_delivery.templates.filters import FILTERS, apply_filter
from rollbook_delivery.templates.state import FilterProblem, RenderState

BOUNDS = RenderBounds(cpu_seconds=0.1)
MOST_SECONDS = 3.0
"""Of the processor: one step may take a while. Without bounds these take hours, or all memory."""
LONG = "<a " * 300_000
MANY = list(range(ITEMS))

LOOP = "{% for a in (1..9999) %}"
HOSTILE = {
    "loops within loops": "{% for a in (1..1000) %}{% for b in (1..1000) %}x{% endfor %}{% endfor %}",
    "empty loops": "{% for a in (1..9999) %}{% for b in (1..9999) %}{% endfor %}{% endfor %}",
    "loops one after the other": "{% for a in (1..9999) %}{% endfor %}" * 100,
    "loops with an empty body": "{% for a in (1..9999) %}" + "{% if true %}{% endif %}" * 500 + "{% endfor %}",
    "counters": "{% for a in (1..9999) %}" + "{% increment n %}" * 500 + "{% endfor %}",
    "cases": "{% for a in (1..9999) %}{% case 1 %}{% when 1 %}"
    + "{% cycle 1, 2 %}" * 500
    + "{% endcase %}{% endfor %}",
    "unless": "{% for a in (1..9999) %}{% unless false %}" + "{% decrement n %}" * 500 + "{% endunless %}{% endfor %}",
    "liquid tag": "{% for a in (1..9999) %}{% liquid\n" + "if true\nendif\n" * 500 + "%}{% endfor %}",
    "comparisons": "{% for a in (1..9999) %}" + "{% if data.many == data.many2 %}{% endif %}" * 500 + "{% endfor %}",
    "searches": "{% for a in (1..9999) %}" + "{% if data.long contains 'zzz' %}{% endif %}" * 500 + "{% endfor %}",
    "a long range": "{% for a in (1..1000000000000) reversed %}{% break %}{% endfor %}",
    "a far offset": "{% for a in (1..10000000000) offset:9999999990 %}{% endfor %}",
    "a range that is a list": "{{ (1..10000000000) | reverse | size }}",
    "a range of data": "{% assign r = (1..data.huge) %}{{ r | join }}",
    "doubling text": "{% assign x = 'ab' %}" + "{% assign x = x | append: x %}" * 64,
    "doubling in a capture": "{% assign x = 'ab' %}" + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 64,
    "doubling lists": "{% assign x = 'a,b' | split: ',' %}" + "{% assign x = x | concat: x %}" * 64,
    "replacing each character": "{{ data.long | replace: 'a', data.long }}",
    "joining with a long text": "{{ data.many | join: data.long }}",
    "splitting into characters": "{{ data.long | split: '' }}",
    "squaring": "{% assign x = 99999999 %}" + "{% assign x = x | times: x %}" * 64,
    "many names": "{% for a in (1..9999) %}"
    + "".join(f"{{% assign n{i} = data.many %}}" for i in range(300))
    + "{% endfor %}",
    "long output": "{% for a in (1..9999) %}{{ data.long }}{% endfor %}",
    "text in a loop": "{% for a in (1..9999) %}" + "x" * 10_000 + "{% endfor %}",
    "tags that never end": "{% for a in (1..9999) %}{{ data.long | strip_html }}{% endfor %}",
    "sorting": "{% for a in (1..9999) %}{{ data.many | sort | uniq | reverse | size }}{% endfor %}",
    "a time that is long": "{{ data.long | date: '%Y' }}",
    "a format that is long": "{{ 'now' | date: data.long }}",
    "a number that is long": "{{ data.digits | plus: 1 }}",
    "partials of themselves": "{% render 'again' %}",
    "partials in a loop": "{% for a in (1..9999) %}{% render 'wide' %}{% endfor %}",
}
DATA = {
    "long": LONG,
    "many": MANY,
    "many2": list(MANY),
    "huge": 10**300,
    "digits": "9" * 1_000_000,
}
PARTIALS = {
    "_partials/again.liquid": "{% render 'again' %}{% render 'again' %}",
    "_partials/wide.liquid": "{% for a in (1..9999) %}{% endfor %}",
}
ENDS = (
    "it takes more than 0.1 s of the processor",
    "its loops run more than 100,000 times",
    "it is longer than 1,048,576 characters",
    "`assign` and `capture` keep more than a message may",
    "a range has more than 10,000 numbers",
    "partials and loops are nested deeper than 30 levels",
    "too large a value",
    "a value is no",
    "the filter `date` takes a format",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped(name: str) -> None:
    began = thread_time()

    text = str(failure_of(HOSTILE[name]))

    assert thread_time() - began < MOST_SECONDS
    assert any(end in text for end in ENDS), text


def failure_of(template: str) -> str:
    with pytest.raises(TemplateError) as caught:
        render({"welcome/mail.liquid": template, **PARTIALS}, bounds=BOUNDS, data=DATA)
    return str(caught.value)


LONG_TEXT = "<a " * 30_000
ARGUMENTS: tuple[tuple[object, ...], ...] = ((), (2,), ("<", "<<"), (LONG_TEXT,), (MANY,))
VALUES: tuple[object, ...] = (
    LONG_TEXT,
    "<" * 90_000,
    "&#" * 45_000,
    " " * 90_000,
    "1" * 90_000,
    MANY,
    [LONG_TEXT] * 10,
)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_takes_quadratic_time(name: str) -> None:
    state = RenderState(RenderBounds(), {}, AT)
    slowest = 0.0
    for value in VALUES:
        for arguments in ARGUMENTS:
            began = thread_time()
            with suppress(FilterProblem):
                apply_filter(state, True, name, FILTERS[name], value, *arguments)
            slowest = max(slowest, thread_time() - began)

    assert slowest < 1, "seconds of the processor; it takes milliseconds, and minutes if the time grew with the square"


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{" * 120_000, "1: `{{` has no `}}`"),
        ("\n{% if true %}" + "{%" * 120_000, "2: `{%` has no `%}`"),
        ("{% raw %}" * 28_000, "1: `raw` has no `endraw`"),
        ("\n{{" + " " * 250_000 + "}}", "2: a tag has more than 100 blanks in a row"),
        ("{% raw %}{{{{{{{% endraw %}\n{{ a", "2: `{{` has no `}}`"),
        ("x" * 262_145, "it is longer than 256 KiB"),
    ],
)
def test_templates_that_take_long_to_parse_are_not_parsed(template: str, wanted: str) -> None:
    began = thread_time()

    assert wanted in failure(template)

    assert thread_time() - began < MOST_SECONDS


def test_text_between_raw_and_endraw_is_not_looked_at() -> None:
    assert render_text("{% raw %}{{ }} {{ {%{% endraw %}{{ 1 }}{% raw -%} x {%- endraw %}") == "{{ }} {{ {%1 x"


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{% if true %}" * 31 + "{% endif %}" * 31, "blocks are nested deeper than 30 levels"),
        ("{% for a in (1..10001) %}{% endfor %}", "a range has more than 10,000 numbers"),
        ("{% for a in (1..10000) %}{% endfor %}" * 11, "its loops run more than 100,000 times"),
        ("{% for a in data.many %}{% endfor %}" * 11, "its loops run more than 100,000 times"),
    ],
)
def test_bounds_have_names(template: str, wanted: str) -> None:
    assert wanted in failure(template, data=DATA)


@pytest.mark.parametrize(
    "template", ["{{ data.short | replace: 'a', data.wide | size }}", "{{ data.items | join: data.wide | size }}"]
)
def test_a_text_that_would_be_too_long_is_not_made(template: str) -> None:
    data = {"short": "a" * 500, "items": ["a"] * 500, "wide": "b" * 100_000}
    tracemalloc.start()
    try:
        failure(template, data=data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 10_000_000, "bytes; the text has five times as many"


def test_what_is_within_the_bounds_is_rendered() -> None:
    assert render_text("{% for a in (1..10000) %}{% endfor %}" * 10) == ""
    assert len(render_text("{{ data.x }}", data={"x": "y" * 1_048_576})) == 1_048_576
    assert render_text("{% if true %}" * 30 + "x" + "{% endif %}" * 30) == "x"


def test_parts_share_the_bounds() -> None:
    loop = "{% for a in (1..10000) %}{% endfor %}" * 6

    with pytest.raises(TemplateError, match="its loops run more than 100,000 times"):
        render({"welcome/mail.liquid": loop, "welcome/mail.html.liquid": loop})


def test_what_assign_keeps_is_bounded() -> None:
    keep = "{% assign a = data.x %}{% assign a = data.x %}{% capture b %}{{ data.x }}{% endcapture %}"

    assert render_text(keep, data={"x": "y" * 400}, bounds=RenderBounds(namespace=1_000)) == ""
    assert "keep more than a message may" in failure(keep, data={"x": "y" * 500}, bounds=RenderBounds(namespace=1_000))


def test_a_run_of_blanks_is_no_tag() -> None:
    assert render_text("{{" + " " * 100 + "1 }}") == "1"
    assert "more than 100 blanks" in failure("{{" + " " * 101 + "1 }}")
