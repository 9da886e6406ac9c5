"""What the check of templates finds without data, and what it accepts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.templates import template_set

from rollbook_delivery.templates.check import check_templates
from rollbook_shared.registry import parse_registry

REGISTRY = parse_registry(
    """
    [channels.mail]
    type = "email"
    [channels.fcm]
    type = "push"
    [workflows.welcome]
    channels = ["mail", "in_app"]
    [workflows.comment]
    channels = ["fcm"]
    """
)
GOOD = {
    "welcome/mail.html.liquid": (
        "---\nsubject: {{ recipient.name }} {{ data.x }}\nlayout: frame\n---\n"
        "{% assign own = data.list | map: 'a' %}{% for item in own %}{{ item.any }}{{ forloop.index }}{% endfor %}"
        "{% capture c %}{% endcapture %}{{ c }}{% increment n %}{{ n }}{% render 'row', value: own.x %}"
        "{{ recipient.properties.plan }}{{ workflow.key }}{{ tenant.id }}{{ actor.name }}{{ message.type }}"
    ),
    "welcome/email.de-CH.liquid": "x",
    "welcome/in_app.liquid": "x",
    "comment/push.liquid": "---\ntitle: x\n---\n",
    "_default/fcm.liquid": "x",
    "_default/email.txt.liquid": "x",
    "_layouts/frame.html.liquid": "{{ subject }}{{ title }}{{ content }}{{ recipient.id }}",
    "_partials/row.liquid": "{{ value.any }}{% render 'row2', other: value %}{{ recipient.id }}",
    "_partials/row2.liquid": "{{ other }}",
}


def problems(files: Mapping[str, str], *, registered: bool = True) -> list[str]:
    found = check_templates(template_set({**GOOD, **files}), REGISTRY if registered else None)
    return [str(problem) for problem in found]


def test_good_templates_have_no_problems() -> None:
    assert problems({}) == []


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("welcome/mail.txt.liquid", "\n{% if %}", ":2: missing expression"),
        ("welcome/mail.txt.liquid", "{{ x", ":1: `{{` has no `}}`"),
        ("welcome/mail.txt.liquid", "\n{{ nmae }}", ":2: there is no variable `nmae`"),
        ("welcome/mail.txt.liquid", "{{ now }}", ":1: there is no variable `now`"),
        ("welcome/mail.txt.liquid", "\n\n{{ recipient.plan }}", ":3: `recipient` has no `plan`; is it `recipient.prop"),
        ("welcome/mail.txt.liquid", "{{ workflow.name }}", ":1: `workflow` has no `name`"),
        ("welcome/mail.txt.liquid", "{{ content }}", ":1: there is no variable `content`"),
        ("welcome/mail.txt.liquid", "\n{{ 1 | nope }}", ":2: there is no filter `nope`"),
        ("welcome/mail.txt.liquid", "{% if data.a %}\n{{ x }}{% endif %}", ":2: there is no variable `x`"),
        ("welcome/mail.txt.liquid", "---\ntitle: {{ x }}\n---\n", ":2: there is no variable `x`"),
        ("welcome/mail.txt.liquid", "\n{% render 'none' %}{{ x }}", ":2: there is no partial `none`"),
        ("welcome/mail.txt.liquid", "---\nlayout: none\n---\n", ":2: there is no layout `none` for text"),
        ("welcome/mail.txt.liquid", "---\nsubject: x\n---\n", ": welcome/mail.html.liquid has a subject, too"),
        ("welcome/mail.txt.liquid", "---\nsubjekt: x\n---\n", ":2: the front matter has `subjekt`"),
        ("welcome/in_app.txt.liquid", "x", ": welcome/in_app.liquid is there, too, and both are text"),
        ("other/mail.liquid", "x", ": the registry has no workflow `other`"),
        ("welcome/sms.liquid", "x", ": the workflow `welcome` has no channel `sms`, and none of this type"),
        ("welcome/push.liquid", "x", ": the workflow `welcome` has no channel `push`, and none of this type"),
        ("_default/sms.liquid", "x", ": the registry has no channel `sms`, and none of this type"),
        ("mail.liquid", "x", ": a template is in WORKFLOW/CHANNEL"),
        ("welcome/deep/mail.liquid", "x", ": a template is in WORKFLOW/CHANNEL"),
        ("_other/mail.liquid", "x", ": a workflow's folder does not begin with `_`"),
        ("_layouts/other.liquid", "\n{{ x }}", ":2: there is no variable `x`"),
        ("_layouts/other.liquid", "---\nlayout: frame\n---\n", ":1: layouts and partials have no front matter"),
        ("_partials/other.liquid", "---\ntitle: x\n---\n", ":1: layouts and partials have no front matter"),
        ("_partials/other.liquid", "\n{% for %}", ":2: "),
        ("_partials/row2.liquid", "\n{{ x }}", ":2: there is no variable `x`"),
        ("_partials/row2.liquid", "\n{{ value }}", ":2: there is no variable `value`"),
        ("_partials/row2.liquid", "\n{{ actor.plan | nope }}", ":2: `actor` has no `plan`"),
        ("_partials/row2.liquid", "{% render 'none' %}", ":1: there is no partial `none`"),
    ],
)
def test_a_problem_is_found_with_its_line(name: str, text: str, wanted: str) -> None:
    found = problems({name: text})

    assert any(problem.startswith(name + wanted) for problem in found), found
    assert all(problem.startswith((name, "welcome/in_app.txt")) for problem in found), "one problem is said once"


def test_all_problems_of_a_template_are_found() -> None:
    text = "{{ a }}{{ recipient.b }}\n{{ 1 | c }}{% render 'd' %}"

    assert [problem.partition(":")[2] for problem in problems({"welcome/mail.txt.liquid": text})] == [
        "1: `recipient` has no `b`; is it `recipient.properties.b`?",
        "1: there is no variable `a`",
        "2: there is no filter `c`",
        "2: there is no partial `d`",
    ]


def test_without_a_registry_every_workflow_and_channel_may_have_templates() -> None:
    assert problems({"other/sms.liquid": "x"}, registered=False) == []


def test_a_partial_that_renders_itself_is_no_problem_until_it_is_rendered() -> None:
    assert problems({"_partials/row2.liquid": "{% if other %}{% render 'row2', other: other.x %}{% endif %}"}) == []
