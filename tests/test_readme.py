"""The README is for people who decide whether to use Rollbook: short, and its picture is ours. What it says is checked
by tests/docs together with the pages of the documentation.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.support.documentation import blocks, text_of
from tests.support.repository import ROOT

README = text_of("README.md")
MOST_LINES = 130
MOST_PYTHON_LINES = 16
MOST_BYTES = 15_000
"""Of a picture that is drawn by hand."""
_PARTS = ("**It is**", "**It is not**", "**It fits**", "<!-- bench -->", "docs/index.md", "CONTRIBUTING.md", "LICENSE")


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < MOST_LINES


def test_readme_says_what_it_is_before_how_to_run_it() -> None:
    found = [README.find(part) for part in _PARTS]

    assert -1 not in found
    assert found == sorted(found)


def test_readme_has_one_example_with_its_output() -> None:
    (example,) = blocks("README.md", "python")

    assert len(example.text.splitlines()) <= MOST_PYTHON_LINES
    assert example.is_run
    assert re.search(r"print\(.*\)  # ", example.text)


def test_readme_links_each_claim_to_its_proof() -> None:
    _, _, claims = README.partition("## What you will not find elsewhere")
    bullets = [" ".join(bullet.split()) for bullet in claims.partition("\n## ")[0].split("\n- ")[1:]]

    assert len(bullets) >= 6
    assert [bullet for bullet in bullets if "](" not in bullet] == []


def test_readme_names_missed_goals() -> None:
    missed = "not reached" in (ROOT / "benchmarks" / "README.md").read_text().partition("<!-- /goals -->")[0]

    assert missed == ("is missed" in README or "are missed" in README)


def test_the_picture_of_the_path_is_self_contained() -> None:
    picture = ROOT / "docs" / "pictures" / "path.svg"
    drawn = ElementTree.parse(picture)

    assert picture.stat().st_size < MOST_BYTES
    assert {node.tag.partition("}")[2] for node in drawn.iter()} & {"image", "use", "script", "foreignObject"} == set()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|@font-face|url\((?!#)", picture.read_text())
    packages = re.findall(r"\w+/rollbook\w*", "".join(drawn.getroot().itertext()))
    assert len(packages) == 3
    assert [package for package in packages if not (ROOT / package).is_dir()] == []
