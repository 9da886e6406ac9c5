"""The documentation builds without a warning, its links lead somewhere, and no page fetches from another host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
from docs.site.generators import glossary
from tests.support.documentation import DOCS
from tests.support.repository import ROOT

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings", "readme_renderer")),
    reason="what builds the documentation is not installed (./run docs installs it)",
)
ASSETS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Elements that make a browser fetch something, and the attribute that says what."""


class Page(HTMLParser):
    """What a built page links to, fetches and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ASSETS and ASSETS[tag] in given and given.get("rel") not in ("canonical", "next", "prev"):
            self.assets.append(given[ASSETS[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    configuration = DOCS / "site" / "mkdocs.yml"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", configuration, "-d", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {str(path.relative_to(site)): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_built(pages: dict[str, Page]) -> None:
    sources = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}

    assert sources <= set(pages)


def test_no_page_fetches_from_another_host(site: Path, pages: dict[str, Page]) -> None:
    fetched = {(name, asset) for name, page in pages.items() for asset in page.assets}
    styles = [
        (path.name, url) for path in site.rglob("*.css") for url in re.findall(r"url\(([^)]*)\)", path.read_text())
    ]

    assert [entry for entry in fetched if "//" in entry[1]] == []
    assert [entry for entry in styles if "//" in entry[1] and not entry[1].lstrip("\"'").startswith("data:")] == []
    assert fetched


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = unquote(link).partition("#")
            if "://" in path or name == "404.html":
                continue
            target = (site / name).parent / path if path else site / name
            if not target.exists():
                broken.append((name, link))
            elif anchor and target.suffix == ".html":
                key = str(target.resolve().relative_to(site.resolve()))
                if anchor not in pages[key].anchors and anchor != "__skip":
                    broken.append((name, link))

    assert broken == []


def test_nothing_generated_is_missing(site: Path) -> None:
    left = [path.name for path in site.rglob("*.html") if re.search(r"<!-- (generated|file): ", path.read_text())]

    assert left == []
    assert "ROLLBOOK_BATCH_SIZE" in (site / "reference" / "settings.html").read_text()
    assert "FastAPI(lifespan" in re.sub(r"<[^>]+>", "", (site / "tutorials" / "fastapi-outbox.html").read_text())


def test_words_of_the_glossary_are_linked(site: Path, pages: dict[str, Page]) -> None:
    words = glossary.words((DOCS / "glossary.md").read_text())

    assert len(words) > 40
    assert {glossary.anchor(word) for word in words} <= pages["glossary.html"].anchors
    assert "../glossary.html#stamp" in pages["explanation/merging.html"].links


def test_search_finds_calls_and_settings(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    titles = " ".join(entry["title"] for entry in index["docs"])

    assert "bulk_identify" in titles
    assert any("ROLLBOOK_BATCH_SIZE" in entry["text"] for entry in index["docs"])


def test_arguments_of_calls_are_lists(site: Path) -> None:
    page = (site / "reference" / "users.html").read_text()

    assert page.count("Parameters:") >= 6
    assert page.count("Raises:") >= 15


def test_readme_renders_on_a_package_index() -> None:
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager
    from readme_renderer.markdown import render

    metadata = ProjectMetadata(str(ROOT), PluginManager())
    html = render(metadata.core.readme, stream=sys.stderr)

    assert html is not None
    page = Page(html)
    assert page.assets == []
    assert [link for link in page.links if "://" not in link and not link.startswith("#")] == []
    assert "Picture: The path of a job" in html
    assert "The rule" in html
