"""The items of a feed are rendered in a bounded time, whatever their templates do."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
from tests.support.templates import delivery, write_templates

from rollbook.models import Content, Delivery
from rollbook_delivery.templates import Renderer
from rollbook_ops.feed_templates import LOG_SECONDS, FolderFeedTemplates
from rollbook_ops.server_templates import feed_templates, open_renderer
from rollbook_shared.registry import Channel
from rollbook_shared.settings import Settings

FILES = {
    "good/in_app.liquid": "{{ recipient.name }}",
    "slow/in_app.liquid": "{% for a in (1..9999) %}{% for b in (1..9999) %}{{ a }}{% endfor %}{% endfor %}",
    "long/in_app.liquid": "{% for a in (1..9999) %}0123456789{% endfor %}",
    "bad/in_app.liquid": "{{ data.nothing }}",
    "worse/in_app.liquid": "\n{{ data.nothing }}",
}


def item(workflow: str, number: int = 0, **changes: Any) -> Delivery:
    return delivery(id=f"{workflow}-{number}", workflow=workflow, channel="in_app", type="in_app", **changes)


def folder_templates(folder: Path, **options: Any) -> FolderFeedTemplates:
    return FolderFeedTemplates(Renderer(write_templates(folder, FILES)), **options)


@pytest.mark.parametrize("workflow", ["slow", "long", "bad"])
def test_an_item_that_fails_costs_the_others_nothing(tmp_path: Path, workflow: str) -> None:
    templates = folder_templates(tmp_path, item_seconds=0.05)

    rendered = templates.render([item("good", 1), item(workflow), item("good", 2)])

    assert rendered.contents == {"good-1": Content(text="Ann"), "good-2": Content(text="Ann")}
    assert rendered.failed == 1


def test_an_error_of_ours_costs_the_others_nothing_and_is_logged_without_its_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = item("good", 1, recipient="ann@example.com")

    rendered = folder_templates(tmp_path).render([broken, item("good", 2)])

    assert (list(rendered.contents), rendered.failed) == (["good-2"], 1)
    assert [each.getMessage() for each in caplog.records] == [
        "feed items have no content: rendering failed unexpectedly (AttributeError)"
    ]


def test_a_page_of_slow_items_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    templates = folder_templates(tmp_path, item_seconds=0.1, page_seconds=0.15)
    started = thread_time()

    rendered = templates.render([item("good"), *(item("slow", number) for number in range(50))])

    assert thread_time() - started < 2  # fifty would take five seconds
    assert (list(rendered.contents), rendered.failed) == (["good-0"], 50)
    assert re.search(r"4[89] items: their page takes more than 0\.15 s", caplog.text)


def test_a_failure_that_repeats_is_logged_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    templates = folder_templates(tmp_path, clock=lambda: now)
    bad = "feed items have no content: template bad/in_app.liquid:1: `data.nothing` is missing"
    worse = bad.replace("bad/in_app.liquid:1", "worse/in_app.liquid:2")

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            templates.render([item("bad", 1), item("worse"), item("bad", 2)])
        now = LOG_SECONDS
        templates.render([item("bad")])

    assert [record.getMessage() for record in caplog.records] == [bad, worse, bad]


def test_a_change_is_found_by_a_look_that_may_block_and_by_nothing_else(tmp_path: Path) -> None:
    now = 0.0
    renderer = Renderer(write_templates(tmp_path, FILES), clock=lambda: now)
    templates = FolderFeedTemplates(renderer, clock=lambda: now)
    channel = Channel(key="in_app", type="in_app")
    write_templates(tmp_path, {"new/in_app.liquid": "x"})

    assert not templates.is_stale()
    now = 10.0
    assert templates.is_stale()
    assert not templates.has_template("new", channel)
    assert templates.render([item("new")]).contents == {}
    templates.refresh()

    assert not templates.is_stale()
    assert templates.has_template("new", channel)
    assert templates.render([item("new")]).contents == {"new-0": Content(text="x")}


@pytest.mark.parametrize("folder", [None, "/nowhere"])
def test_a_folder_that_cannot_be_read_stops_no_server(folder: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert feed_templates(open_renderer(Settings(templates=folder))) is None

    assert [each.getMessage().rpartition(": ")[0] for each in caplog.records] == [
        "feed items have no content, and the console shows no templates: the folder of templates /nowhere cannot be"
        " read"
    ] * (folder is not None)
