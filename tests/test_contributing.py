"""CONTRIBUTING.md leads to what exists: each file and folder that it names is there, and what it names in them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.repository import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
_CODE = re.compile(r"`([^`\n]+)`")
_FILE_AND_NAME = re.compile(r"`([\w/]+\.py)`, `([\w.]+)`")


def test_contributing_names_existing_files() -> None:
    places = r"(producer|shared|worker|tests|deploy|docs)/[\w./]+"
    paths = [code for code in _CODE.findall(PAGE) if re.fullmatch(places, code)]

    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_contributing_names_functions_in_their_files() -> None:
    named = _FILE_AND_NAME.findall(PAGE)

    assert len(named) >= 9
    assert [f"{path}: {name}" for path, name in named if not is_defined(ROOT / path, name)] == []


def is_defined(path: Path, name: str) -> bool:
    text = path.read_text()
    return all(re.search(rf"^\s*(class|def) {part}\b", text, re.MULTILINE) for part in name.split("."))
