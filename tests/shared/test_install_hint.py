"""Install hints name the installed distribution, where it came from, and extras that exist."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.repository import ROOT, tracked

from rollbook_shared.errors import NotConfigured
from rollbook_shared.install_hint import DISTRIBUTION, install_hint, require_extra

FUNCTIONS = {"install_hint": 0, "missing_extra": 1, "require_extra": 1, "exit_without_extra": 1}
"""The functions that make hints, and which of their arguments is the extra."""


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what PEP 610 records of the installation's source."""

    def install_from(direct_url: dict[str, Any] | None) -> None:
        text = None if direct_url is None else json.dumps(direct_url)
        distribution = SimpleNamespace(metadata={"Name": "rollbook"}, read_text=lambda name: text)
        monkeypatch.setattr(metadata, "distribution", lambda name: distribution)

    return install_from


def test_the_hint_names_the_distribution_that_the_command_is_installed_from() -> None:
    entry_points = metadata.entry_points(group="console_scripts", name="rollbook")
    (command,) = [point for point in entry_points if point.value == "rollbook_ops.cli:main"]

    assert command.dist is not None
    assert command.dist.metadata["Name"] == DISTRIBUTION


@pytest.mark.parametrize(
    ("direct_url", "command"),
    [
        (None, "pip install 'rollbook[cli]'"),
        ({"url": "file:///", "dir_info": {"editable": True}}, "pip install -e '/[cli]'"),
        ({"url": "file:///", "dir_info": {}}, "pip install '/[cli]'"),
        ({"url": "file:///no/such%20folder", "dir_info": {}}, "pip install 'rollbook[cli]'"),
        ({"url": "https://x/r.whl", "archive_info": {}}, "pip install 'rollbook[cli] @ https://x/r.whl'"),
        ({"url": "https://x/r", "vcs_info": {"vcs": "git"}}, "pip install 'rollbook[cli] @ git+https://x/r'"),
    ],
)
def test_the_hint_names_where_rollbook_was_installed_from(
    source: Any, direct_url: dict[str, Any] | None, command: str
) -> None:
    source(direct_url)

    assert install_hint("cli") == command


def test_without_an_installation_the_hint_is_for_a_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_installed(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none_installed)

    assert install_hint("cli") == "pip install '.[cli]'"


def test_a_missing_module_is_one_error_with_the_hint() -> None:
    require_extra("the test", "testing", "pytest")
    with pytest.raises(NotConfigured) as missing:
        require_extra("the test", "testing", "pytest", "no_such_module")

    assert str(missing.value) == f"the test needs the extra `testing`: {install_hint('testing')}"


@pytest.mark.parametrize(
    ("program", "module", "extra"),
    [
        ("rollbook_worker", "celery", "worker"),
        ("rollbook_worker.migrations", "alembic", "worker"),
        ("rollbook_worker.maintenance", "psycopg", "worker"),
        ("rollbook_ops.relay", "psycopg", "read"),
    ],
)
def test_a_program_without_its_extra_ends_with_one_line(program: str, module: str, extra: str) -> None:
    code = f"import runpy, sys; sys.modules[{module!r}] = None; runpy.run_module({program!r}, run_name='__main__')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("rollbook: ")) == (2, True)
    assert line.endswith(f"needs the extra `{extra}`: {install_hint(extra)}")


def hints_in(path: Path) -> Iterator[str]:
    """The extras for which a module makes hints."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            extra = node.args[FUNCTIONS[node.func.id]]
            if isinstance(extra, ast.Constant):
                yield str(extra.value)


def modules() -> list[Path]:
    folders = [ROOT / folder for folder in ("producer", "worker", "shared")]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_every_extra_of_a_hint_exists() -> None:
    extras = {extra for path in modules() for extra in hints_in(path)}

    assert {"cli", "read", "worker", "metrics", "logs", "embedded", "dashboard", "all"} <= extras
    assert extras <= set(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ())


def test_no_module_writes_a_hint_itself() -> None:
    own = {path for path in modules() if "pip install" in path.read_text()}

    assert {path.name for path in own} == {"install_hint.py"}


def test_every_extra_that_a_document_installs_exists() -> None:
    texts = [path.read_text() for path in tracked() if path.suffix in (".md", ".yml", ".yaml", ".toml", ".service")]
    named = {
        extra.strip()
        for text in texts
        for group in re.findall(rf"(?:{DISTRIBUTION}|['\"]\.)\[([a-z, ]+)\]", text)
        for extra in group.split(",")
    }

    assert "read" in named
    assert named <= set(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ())
