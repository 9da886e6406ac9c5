"""The folder of templates: what is read of it, what never is, and when it is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.templates import delivery, write_templates

from rollbook_delivery.templates import Renderer, TemplateError, TemplateNotFound
from rollbook_shared.errors import NotConfigured


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def text(renderer: Renderer, workflow: str = "welcome") -> str | None:
    return renderer.render(delivery(workflow=workflow)).text


def test_a_change_takes_effect_within_a_second(tmp_path: Path) -> None:
    clock = Clock()
    write_templates(tmp_path, {"welcome/mail.liquid": "one"})
    renderer = Renderer(tmp_path, clock=clock)

    write_templates(tmp_path, {"welcome/mail.liquid": "two two", "new/mail.liquid": "new"})
    clock.now = 0.9
    before = text(renderer)
    clock.now = 1.0
    after = text(renderer)

    assert (before, after, text(renderer, "new")) == ("one", "two two", "new")
    (tmp_path / "new/mail.liquid").unlink()
    clock.now = 2.0
    with pytest.raises(TemplateNotFound):
        text(renderer, "new")


def test_without_a_change_nothing_is_parsed_again(tmp_path: Path) -> None:
    clock = Clock()
    write_templates(tmp_path, {"welcome/mail.liquid": "one"})
    renderer = Renderer(tmp_path, clock=clock)
    before = renderer.templates

    clock.now = 5.0

    assert renderer.templates is before


def test_a_folder_that_is_gone_leaves_what_was_read(tmp_path: Path) -> None:
    clock = Clock()
    folder = write_templates(tmp_path / "templates", {"welcome/mail.liquid": "one"})
    renderer = Renderer(folder, clock=clock)
    folder.rename(tmp_path / "moved")

    clock.now = 2.0

    assert text(renderer) == "one"
    (tmp_path / "moved").rename(folder)
    write_templates(folder, {"welcome/mail.liquid": "two two"})
    clock.now = 4.0
    assert text(renderer) == "two two"


def test_files_outside_of_the_folder_are_never_read(tmp_path: Path) -> None:
    write_templates(tmp_path / "outside", {"mail.liquid": "secret", "deep/mail.liquid": "secret"})
    folder = write_templates(tmp_path / "templates", {"welcome/push.liquid": "x"})
    (folder / "welcome/mail.liquid").symlink_to(tmp_path / "outside/mail.liquid")
    (folder / "linked").symlink_to(tmp_path / "outside/deep", target_is_directory=True)
    (folder / "_partials").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "_default").mkdir()
    (folder / "_default/sms.liquid").write_text("{% render 'mail' %}", encoding="utf-8")

    renderer = Renderer(folder)

    with pytest.raises(TemplateError, match="the link leads out of the folder"):
        text(renderer)
    with pytest.raises(TemplateNotFound):
        text(renderer, "linked")
    with pytest.raises(TemplateError, match="there is no partial `mail`"):
        renderer.render(delivery(channel="sms", type="sms"))


def test_links_within_the_folder_are_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    write_templates(tmp_path, {"..2026/welcome/mail.liquid": "one", "..2026/other/mail.liquid": "two"})
    (tmp_path / "..data").symlink_to("..2026", target_is_directory=True)
    (tmp_path / "welcome").symlink_to("..data/welcome", target_is_directory=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mail.liquid").symlink_to("../..data/other/mail.liquid")

    renderer = Renderer(tmp_path)

    assert (text(renderer), text(renderer, "other")) == ("one", "two")
    assert sorted(renderer.templates.sources) == ["other/mail.liquid", "welcome/mail.liquid"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    write_templates(tmp_path, {"welcome/mail.liquid": "one"})
    (tmp_path / "welcome/again").symlink_to("..", target_is_directory=True)

    assert text(Renderer(tmp_path)) == "one"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff", "it is not UTF-8"),
        (b"x" * 262_145, "it is longer than 256 KiB"),
        (b"---\n", "the front matter has no second `---`"),
    ],
)
def test_a_file_that_is_no_template_fails_alone(raw: bytes, reason: str, tmp_path: Path) -> None:
    write_templates(tmp_path, {"welcome/mail.liquid": "", "other/mail.liquid": "fine"})
    (tmp_path / "welcome/mail.liquid").write_bytes(raw)

    renderer = Renderer(tmp_path)

    assert text(renderer, "other") == "fine"
    with pytest.raises(TemplateError, match=reason):
        text(renderer)


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_text(tmp_path: Path) -> None:
    write_templates(tmp_path, {"welcome/mail.liquid": ""})
    (tmp_path / "welcome/mail.liquid").write_bytes(b"\xef\xbb\xbf---\r\nsubject: s\r\n---\r\na\r\nb")

    made = Renderer(tmp_path).render(delivery())

    assert (made.subject, made.text) == ("s", "a\nb")


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "welcome").mkdir()
    os.mkfifo(tmp_path / "welcome/mail.liquid")

    with pytest.raises(TemplateError, match="it is no file"):
        text(Renderer(tmp_path))


def test_without_a_folder_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"the folder of templates .* cannot be read: No such file"):
        Renderer(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotConfigured, match="Not a directory"):
        Renderer(tmp_path / "file")
