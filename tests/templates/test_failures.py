"""Errors name the template, the line and the reason, and no value of a person."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.templates import failure, render

from rollbook_delivery.templates import TemplateError

SECRET = "s3cret@example.com"


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("\n{{ data.code }}", "2: `data.code` is missing"),
        ("{% if true %}\n\n{{ data.a.b }}{% endif %}", "3: `data.a.b` is missing"),
        ("{{ data.list[7] }}", "1: `data.list[7]` is missing"),
        ("{{ data[recipient.email].x }}", "1: `data[recipient.email].x` is missing"),
        ("{{ data[recipient.email] }}", "1: `data[recipient.email]` is missing"),
        ("{{ nmae }}", "1: `nmae` is missing"),
        ("{% for x in data.no %}{% endfor %}", "1: `data.no` is missing"),
        ("{{ data.no | upcase }}", "1: `data.no` is missing"),
        ('{{ "a" | append: data.no }}', "1: `data.no` is missing"),
        ("{{ recipient.plan }}", "1: `recipient.plan` is missing"),
        ("{{ actor.name }}", "1: `actor.name` is missing"),
        ("\n{{ recipient.email | nope }}", "2: there is no filter `nope`"),
        ("\n{{ recipient.email | plus: 1 }}", "2: a value is no number"),
        ("{{ recipient.email | date: '%Y' }}", "1: a value is no time"),
        ("{{ 'now' | date: recipient.name }}", "1: the filter `date` does not know a directive of its format"),
        ("{{ recipient.email | slice: recipient.email }}", "1: the filter `slice` cannot take this value or these"),
        ("{{ recipient.email | upcase: 1, 2 }}", "1: the filter `upcase` cannot take this value or these arguments"),
        ("{{ data.list | sort }}", "1: the filter `sort` cannot take this value or these arguments"),
        ("{% if recipient.email > 1 %}{% endif %}", "1: these values cannot be compared"),
        ("{{ 'now' | format_date: recipient.email }}", "1: the style of a time is one of short, medium, long, full"),
        ("{{ 'now' | timezone: recipient.email }}", "1: there is no such time zone"),
        ("{{ 1 | format_number: recipient.email }}", "1: there is no such locale"),
        ('\n{% render "none" %}', "2: there is no partial `none`"),
        ('{% render "../secrets" %}', "1: there is no partial `../secrets`"),
        ("{% render recipient.email %}", "1: "),
        ("\n{% include 'x' %}", "2: unexpected tag 'include'"),
        ("\n\n{% if %}{% endif %}", "3: "),
        ("\n{% for x in data.list %}\n", "2: expected tag endfor"),
        ("\n{{ 'a' | }}\n", "2: "),
        ("{% break %}", "1: `break` or `continue` without a loop"),
    ],
)
def test_a_failure_names_template_line_and_reason(template: str, wanted: str) -> None:
    recipient = {"id": "ann", "email": SECRET, "name": "%Q" + SECRET}

    text = failure(template, recipient=recipient, data={"list": [SECRET, 1]})

    assert text.startswith(f"welcome/mail.liquid:{wanted}")
    assert SECRET not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("---\nsubject: x\n", 1, "the front matter has no second `---`"),
        ("---\nsubject x\n---\n", 2, "a line of the front matter must be `key: value`"),
        (
            "---\n\nsubjekt: x\n---\n",
            3,
            "the front matter has `subjekt`, which is none of subject, title, action_url, layout",
        ),
        ("---\nsubject:\n---\n", 2, "`subject` has no value"),
        ("---\nsubject: a\nsubject: b\n---\n", 3, "`subject` is there twice"),
        ("---\ntitle: t\nsubject: {{ data.no }}\n---\nx", 3, "`data.no` is missing"),
        ("---\ntitle: t\nsubject: {{ data.no \n---\nx", 3, ""),
        ("---\nsubject: a\n---\n\n{{ data.no }}", 5, "`data.no` is missing"),
        ("---\nlayout: frame\n---\n", 2, "there is no layout `frame` for text"),
        ("---\nlayout: ../welcome/mail\n---\n", 2, "there is no layout `../welcome/mail` for text"),
    ],
)
def test_lines_are_those_of_the_file(text: str, line: int, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render({"welcome/mail.liquid": text})

    assert (caught.value.template, caught.value.line) == ("welcome/mail.liquid", line)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("_partials/p.liquid", {"welcome/mail.liquid": '\n\n{% render "p" %}'}),
        ("_layouts/l.liquid", {"welcome/mail.liquid": "---\nlayout: l\n---\n\n"}),
    ],
)
@pytest.mark.parametrize("text", ["\n{{ data.no }}", "\n{% if %}"])
def test_the_template_that_fails_is_named(name: str, changes: dict[str, str], text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render({name: text, **changes})

    assert (caught.value.template, caught.value.line) == (name, 2)


def test_what_is_ambiguous_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"mail.txt.liquid is there, too|mail.liquid is there, too"):
        render({"welcome/mail.liquid": "x", "welcome/mail.txt.liquid": "x"})
    heading = "---\nsubject: x\n---\n"
    with pytest.raises(TemplateError, match="has a subject, too"):
        render({"welcome/mail.html.liquid": heading, "welcome/mail.txt.liquid": heading})


def test_a_missing_name_is_false_and_has_a_default() -> None:
    conditions = "{% if data.no %}x{% elsif data.no == 'x' or data.no contains 'x' %}y{% endif %}"
    data: dict[str, Any] = {}

    text = render({"welcome/mail.liquid": conditions + "{{ data.no.no | default: 'none' }}"}, data=data).text

    assert text == "none"
