"""Golden files: written once, compared afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.templates import write_templates

from rollbook.models import Content
from rollbook_delivery.templates import Renderer
from rollbook_delivery.testing import check_golden, make_delivery

CONTENT = Content(subject="Hello", text="line\nline", html="<p>é</p>")


def test_the_files_are_written_first_and_compared_then(tmp_path: Path) -> None:
    golden = tmp_path / "golden/welcome"

    with pytest.raises(AssertionError, match=r"written: .*welcome\.txt, .*welcome\.html; look at it"):
        check_golden(CONTENT, golden)
    check_golden(CONTENT, golden)

    assert (tmp_path / "golden/welcome.txt").read_text() == "subject: Hello\n\nline\nline\n"
    assert (tmp_path / "golden/welcome.html").read_text() == "<p>é</p>"


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        (Content(subject="Hullo", text="line\nline", html="<p>é</p>"), "-subject: Hello\n+subject: Hullo"),
        (Content(subject="Hello", text="line\nother", html="<p>é</p>"), "-line\n+other"),
        (Content(subject="Hello", text="line\nline", html="<b>é</b>"), "-<p>é</p>\n+<b>é</b>"),
        (Content(subject="Hello", text="line\nline"), "welcome.html is there, and the content has no such part"),
        (Content(subject="Hello", text="line\nline", html="<p>é</p>", action_url="/a"), "+action_url: /a"),
        (Content(subject="Hello", text="line\r\nline", html="<p>é</p>"), "differs in its line ends"),
    ],
)
def test_a_difference_is_shown(changed: Content, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check_golden(CONTENT, tmp_path / "welcome")

    with pytest.raises(AssertionError) as caught:
        check_golden(changed, tmp_path / "welcome")

    assert wanted in str(caught.value)


def test_a_delivery_for_tests_renders_the_same_every_day(tmp_path: Path) -> None:
    write_templates(tmp_path, {"welcome/email.liquid": "{{ recipient.name }} {{ 'now' | date: '%F' }}"})

    delivery = make_delivery("welcome", "email", recipient={"id": "ann", "name": "Ann"})

    assert Renderer(tmp_path).render(delivery).text == "Ann 2026-03-14"
