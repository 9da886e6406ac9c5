"""Which templates a message uses, and what they make."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.templates import delivery, render, render_html, render_text, template_set

from rollbook.models import Content
from rollbook_delivery.templates import TemplateError, TemplateNotFound

BO = {"id": "bo", "name": "Bo", "properties": {"team": "blue"}}


def test_html_and_text_make_one_mail() -> None:
    made = render(
        {
            "welcome/mail.html.liquid": "---\nsubject: Hello {{ recipient.name }}\n---\n<p>{{ recipient.name }}</p>\n",
            "welcome/mail.txt.liquid": "Hello {{ recipient.name }}\n",
        },
        recipient={"id": "ann", "name": "Ann & Bo"},
    )

    assert made == Content(subject="Hello Ann & Bo", text="Hello Ann & Bo", html="<p>Ann &amp; Bo</p>\n")


def test_a_push_has_a_title_and_text() -> None:
    made = render(
        {"comment/push.liquid": "---\ntitle: '{{ actor.name }} answered'\n---\n\n{{ data.text }}\n"},
        workflow="comment",
        channel="fcm",
        type="push",
        actor=BO,
        data={"text": "<Yes>"},
    )

    assert made == Content(title="Bo answered", text="<Yes>")


def test_templates_see_the_delivery_and_nothing_else() -> None:
    template = (
        "{{ recipient.id }} {{ recipient.properties.plan }} {{ actor.properties.team }} {{ data.a.b[0] }} "
        "{{ tenant.id }} {{ workflow.key }} {{ workflow.categories | join: '+' }} {{ message.id }} "
        "{{ message.channel }} {{ message.type }} {{ message.provider }} {{ message.occurred_at }}"
    )

    text = render_text(
        template,
        recipient={"id": "ann", "properties": {"plan": "pro"}},
        actor=BO,
        data={"a": {"b": ["x"]}},
        tenant="acme",
        categories=("a", "b"),
        provider="smtp",
    )

    assert text == "ann pro blue x acme welcome a+b message-1 mail email smtp 2026-03-14T23:30:00+00:00"


def test_attributes_that_are_not_set_are_null_and_a_missing_actor_is_null() -> None:
    template = "[{{ recipient.name }}]{% if actor %}x{% else %}unknown{% endif %}{% if tenant == nil %}!{% endif %}"

    assert render_text(template, recipient={"id": "ann"}) == "[]unknown!"


@pytest.mark.parametrize(
    ("files", "locale", "wanted"),
    [
        (("welcome/mail", "welcome/email", "_default/mail"), None, "welcome/mail"),
        (("welcome/email", "_default/mail", "_default/email"), None, "welcome/email"),
        (("_default/mail", "_default/email"), None, "_default/mail"),
        (("_default/email", "other/mail"), None, "_default/email"),
        (("welcome/mail", "welcome/mail.de", "welcome/mail.de-CH"), "de-CH", "welcome/mail.de-CH"),
        (("welcome/mail", "welcome/mail.de", "welcome/mail.de-CH"), "de_ch", "welcome/mail.de-CH"),
        (("welcome/mail", "welcome/mail.de", "welcome/mail.de-CH"), "de-AT", "welcome/mail.de"),
        (("welcome/mail", "welcome/mail.de"), "fr", "welcome/mail"),
        (("welcome/mail", "welcome/mail.zh-Hant"), "zh-Hant-TW", "welcome/mail.zh-Hant"),
        (("welcome/email.de", "welcome/mail"), "de", "welcome/mail"),
        (("_default/mail.de", "welcome/email"), "de", "welcome/email"),
    ],
)
def test_the_nearest_template_is_used(files: tuple[str, ...], locale: str | None, wanted: str) -> None:
    made = render({f"{name}.liquid": name for name in files}, recipient={"id": "ann", "locale": locale})

    assert made.text == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow": "other"},
        {"channel": "sms", "type": "sms"},
        {"workflow": "_layouts", "channel": "frame"},
        {"workflow": "_partials", "channel": "footer"},
        {"workflow": "../welcome"},
        {"workflow": ".", "channel": "welcome/mail", "type": "x"},
    ],
)
def test_without_a_template_there_is_no_content(changes: dict[str, Any]) -> None:
    files = {"welcome/mail.liquid": "x", "_layouts/frame.liquid": "x", "_partials/footer.liquid": "x"}

    with pytest.raises(TemplateNotFound, match="there is no template"):
        render(files, **changes)


def test_a_layout_is_around_the_template_and_escapes_its_own_values_only() -> None:
    made = render(
        {
            "welcome/mail.html.liquid": "---\nsubject: <{{ data.x }}>\nlayout: frame\n---\n<b>{{ data.x }}</b>",
            "welcome/mail.txt.liquid": "---\nlayout: frame\n---\n{{ data.x }}",
            "_layouts/frame.html.liquid": "<title>{{ subject }}</title>{{ content }}{{ data.x }}",
            "_layouts/frame.liquid": "{{ subject }}: {{ content }}",
        },
        data={"x": "&"},
    )

    assert made.html == "<title>&lt;&amp;&gt;</title><b>&amp;</b>&amp;"
    assert made.text == "<&>: &"


def test_partials_see_the_variables_and_their_arguments_and_not_the_locals() -> None:
    made = render(
        {
            "welcome/mail.liquid": '{% assign own = 1 %}{% render "parts/line", text: data.x %}',
            "_partials/parts/line.liquid": "{{ recipient.name }}: {{ text }}{{ own | default: '!' }}",
        },
        data={"x": "hi"},
    )

    assert made.text == "Ann: hi!"


def test_html_prefers_partials_of_html_and_may_use_those_of_text() -> None:
    files = {
        "welcome/mail.html.liquid": '{% render "a" %}{% render "b" %}',
        "_partials/a.html.liquid": "<br>{{ data.x }}",
        "_partials/a.txt.liquid": "wrong",
        "_partials/b.liquid": "<hr>{{ data.x }}",
    }

    assert render(files, data={"x": "<"}).html == "<br>&lt;<hr>&lt;"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, ""),
        (True, "true"),
        (1.5, "1.5"),
        ("<i>", "<i>"),
        ({"a": ["<"]}, '{"a":["<"]}'),
        (["a", None, [1, {"b": False}]], 'a1{"b":false}'),
    ],
)
def test_values_are_printed_as_text_or_json_and_never_as_python(value: object, wanted: str) -> None:
    assert render_text("{{ data.x }}|{% echo data.x %}", data={"x": value}) == f"{wanted}|{wanted}"


def test_templates_within_data_are_text() -> None:
    data = {"x": "{{ recipient.id }}{% render 'p' %}{% raw %}"}

    assert render_text("{{ data.x }}{% assign y = data.x %}{{ y }}", data=data) == data["x"] * 2


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("a\r\nBcc: eve@example.com", "a Bcc: eve@example.com"),
        ("a\nb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h\ti\x00j\x7fk", "a b c d e f g h i j k"),
        ("  a   b  ", "a b"),
        ("x" * 251, "x" * 249 + "…"),
        ("x" * 250, "x" * 250),
    ],
)
def test_a_heading_is_one_line_of_bounded_length(heading: str, wanted: str) -> None:
    files = {"welcome/mail.liquid": "---\nsubject: {{ data.x }}\ntitle: {{ data.x }}\n---\n"}

    made = render(files, data={"x": heading})

    assert (made.subject, made.title) == (wanted, wanted)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        ("  http://example.com\n", "http://example.com"),
        ("/comments/7", "/comments/7"),
        ("/", "/"),
        ("", None),
        ("/" + "x" * 1_999, "/" + "x" * 1_999),
    ],
)
def test_a_message_leads_to_a_page(url: str, wanted: str | None) -> None:
    made = render({"welcome/in_app.liquid": "---\naction_url: {{ data.x }}\n---\n"}, channel="in_app", data={"x": url})

    assert made.action_url == wanted


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " \x01javascript:alert(1)",
        "java\tscript:alert(1)",
        "JAVASCRIPT://x/%0aalert(1)",
        "data:text/html,x",
        "//eve.example.com",
        "/\\eve.example.com",
        "https:///eve.example.com",
        "https://",
        "comments/7",
        "/a b",
        "/" + "x" * 2_000,
    ],
)
def test_no_data_make_a_message_lead_to_a_script_or_to_another_host_by_a_path(url: str) -> None:
    files = {"welcome/in_app.html.liquid": "---\n\naction_url: {{ data.x }}\n---\n"}

    with pytest.raises(TemplateError, match=r"^welcome/in_app.html.liquid:3: `action_url` ") as caught:
        render(files, channel="in_app", data={"x": url})

    assert "eve" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("welcome/in_app.liquid", True),
        ("welcome/in_app.de-CH.html.liquid", True),
        ("welcome/feed.v2.liquid", True),
        ("_default/in_app.liquid", True),
        ("welcome/in_apps.liquid", False),
        ("welcome/feed.liquid", False),
        ("other/in_app.liquid", False),
        ("_partials/in_app.liquid", False),
    ],
)
def test_a_template_for_any_locale_is_known(name: str, wanted: bool) -> None:
    assert template_set({name: "x"}).has_template("welcome", "feed.v2", "in_app") is wanted


def test_now_is_when_the_message_was_made() -> None:
    assert render_text('{{ "now" | date: "%Y-%m-%d" }} {{ "today" | date: "%H:%M" }}') == "2026-03-14 23:30"
    with pytest.raises(TemplateError, match="`now` is missing"):
        render_text("{{ now }}")


def test_the_front_matter_takes_no_lines_of_the_body_and_may_hold_comments() -> None:
    text = "---\n# about\n\nsubject: \"a: 'b'\"\n---\n--- body\n---\n"

    made = render({"welcome/mail.liquid": text})

    assert (made.subject, made.text) == ("a: 'b'", "--- body\n---")


def test_a_template_is_parsed_once() -> None:
    templates = template_set({"welcome/mail.liquid": "{{ recipient.name }}"})
    (source,) = templates.find("welcome", "mail", "email", None).values()

    assert templates.body(source, "text") is templates.body(source, "text")
    assert delivery().workflow == "welcome"


def test_attributes_of_python_objects_cannot_be_reached() -> None:
    for path in ("recipient.__class__", "data.keys", 'data["__init__"]', "recipient.name.upper", "workflow.key.format"):
        with pytest.raises(TemplateError, match="is missing"):
            render_html("{{ " + path + " }}")
