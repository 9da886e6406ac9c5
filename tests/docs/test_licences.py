"""The page of licences has every package that is installed, and names those with copyleft."""

from __future__ import annotations

from docs.site.generators import licences
from tests.support.repository import ROOT, pins

COPYLEFT = {"psycopg", "psycopg-binary", "psycopg-pool", "orjson", "pathspec", "hypothesis"}


def test_every_installed_package_says_its_licence() -> None:
    found = licences.licences()

    assert [name for name, licence in found.items() if licence == "not said"] == []
    assert len(found) > 0.8 * len(pins(ROOT / "requirements.lock"))  # the others are for other systems


def test_packages_with_copyleft_are_named_apart() -> None:
    found = licences.copyleft()

    assert found.keys() >= COPYLEFT
    assert {found[name] for name in COPYLEFT if name.startswith("psycopg")} == {"LGPL-3.0-only"}
    assert [name for name in COPYLEFT if not name.startswith("psycopg") and "MPL" not in found[name]] == []
    assert [name for name in found if f"| `{name}` |" not in licences.page().partition("## All packages")[0]] == []


def test_what_the_image_has_is_marked() -> None:
    assert "| `psycopg` | LGPL-3.0-only | yes |" in licences.page()
    assert "| `hypothesis` | MPL-2.0 |  |" in licences.page()
