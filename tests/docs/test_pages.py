"""What the README and docs/ name exists: pages, headings, files, settings, extras, and the commands in their text."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.documentation import DOCS, PAGES, assert_rollbook_command, headings, links, text_of
from tests.support.repository import ROOT, known_variables, printed_variables

from rollbook.testing import recording

RUNS = sorted({(page, command) for page in PAGES for command in re.findall(r"`\./run ([a-z][^`]+)`", text_of(page))})


@pytest.mark.parametrize("page", [*PAGES, "SECURITY.md"])
def test_links_lead_to_pages_and_headings(page: str) -> None:
    for path, anchor in links(page):
        target = (ROOT / page).parent / path if path else ROOT / page
        if target.name == "rates.svg":  # the site takes it from the benchmark's results
            continue
        assert target.exists(), path
        # what is generated has its headings in the built site only: test_site.py follows those
        assert not anchor or "<!-- generated" in target.read_text() or anchor in headings(target), (path, anchor)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    named = re.findall(r"`((?:deploy|benchmarks|tests|examples|docs)/[\w./-]+)`", text_of(page))

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"\bROLLBOOK_[A-Z_]+[A-Z]\b", text_of(page)))

    assert named <= known_variables() | printed_variables()


@pytest.mark.parametrize("page", PAGES)
def test_calls_that_a_page_names_exist(page: str) -> None:
    calls = re.findall(
        r"`rb\.(\w+)(?:\.(\w+))?[^`]*`|`(users|workflows|feeds|messages|jobs)\.(\w+)[^`]*`", text_of(page)
    )
    paths = [[part for part in call if part] for call in calls if call[2:] not in OF_OTHERS]

    assert [path for path in paths if not exists(recording(), path)] == []


OF_OTHERS = {("users", "upsert")}
"""Calls of other products that a page compares with."""


def exists(found: object, path: list[str]) -> bool:
    """Whether each name is an attribute of what is before it."""
    return not path or (hasattr(found, path[0]) and exists(getattr(found, path[0]), path[1:]))


@pytest.mark.parametrize(("page", "command"), RUNS)
def test_command_in_the_text_can_be_run(
    page: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = shlex.split(command)
    match program:
        case "pytest":
            assert [path for path in arguments if not (ROOT / path).exists()] == []
        case "python" if arguments[:1] == ["-m"]:
            assert_module_knows_options(arguments[1], arguments[2:], monkeypatch, capsys)
        case "python" | "docs" | "chaos" | "test" | "bench" | "sbom" | "audit" | "knock-suite":
            assert arguments in ([], ["--serve"])
        case _:
            assert_rollbook_command(shlex.split(command))


def assert_module_knows_options(
    module: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_spec(module)
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)  # as if nothing had imported it yet

    with pytest.raises(SystemExit):
        runpy.run_module(module, run_name="__main__")

    known = re.findall(r"--[a-z-]+", capsys.readouterr().out)
    assert [option for option in options if option.startswith("--") and option not in known] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (DOCS / "site" / "mkdocs.yml").read_text().partition("\nnav:")[2]
    pages = {str((ROOT / page).relative_to(DOCS)) for page in PAGES if page.startswith("docs/")}

    assert set(re.findall(r"[\w/-]+\.md", navigation)) == pages


def test_pages_stay_short() -> None:
    """A page that grows longer has two subjects: make it two pages."""
    lines = {page: len(text_of(page).splitlines()) for page in PAGES if page != "docs/how-to/runbook.md"}

    assert {page: count for page, count in lines.items() if count > 180} == {}


def test_pictures_have_descriptions() -> None:
    pictures = {
        Path(picture).name: shown
        for page in PAGES
        for shown, picture in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text_of(page))
    }

    assert set(pictures) >= {"path.svg", "flower.png", "rates.svg"}
    assert [picture for picture, shown in pictures.items() if len(shown.split()) < 10] == []
