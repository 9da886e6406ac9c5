"""`./run audit` says what is known of the pinned versions, and `./run sbom` lists those of the image."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from tests.support.repository import ROOT, pins

AUDITED = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2026-1"}]}
NOT_FOUND = {"name": "c", "skip_reason": "not found"}


@pytest.fixture(scope="module")
def run() -> Any:
    """The program `run` as a module."""
    spec = spec_from_loader("run", SourceFileLoader("run", str(ROOT / "run")))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # beside a file without a suffix
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


@pytest.fixture
def audit(run: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], int]:
    """`./run audit` where pip-audit prints this, or says nothing in time."""
    monkeypatch.setattr(run, "install_locked", lambda *_: None)

    def with_output(output: str | None) -> int:
        def answer(command: list[str], *, timeout: float, **_: Any) -> subprocess.CompletedProcess[str]:
            if output is None:
                raise subprocess.TimeoutExpired(command, timeout)
            return subprocess.CompletedProcess(command, 0, stdout=output)

        monkeypatch.setattr(run.subprocess, "run", answer)
        exit_code: int = run.audit()
        return exit_code

    return with_output


@pytest.mark.parametrize(
    ("packages", "exit_code", "said"),
    [
        ([AUDITED, NOT_FOUND], 0, "0 known vulnerabilities in 1 packages, 1 not looked up"),
        ([AUDITED, VULNERABLE], 1, "WARNING: b 2 has the known vulnerability PYSEC-2026-1"),
        ([NOT_FOUND, NOT_FOUND], 2, "cannot be reached"),
        ([], 2, "cannot be reached"),
    ],
    ids=["none known", "one known", "an index without data", "nothing"],
)
def test_an_audit_names_what_is_known(
    audit: Callable[[str | None], int],
    capsys: pytest.CaptureFixture[str],
    packages: list[Any],
    exit_code: int,
    said: str,
) -> None:
    assert audit(json.dumps({"dependencies": packages})) == exit_code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("output", [None, "", "Traceback"], ids=["too late", "no network", "an error"])
def test_an_audit_without_a_network_says_so_in_one_line(
    audit: Callable[[str | None], int], capsys: pytest.CaptureFixture[str], output: str | None
) -> None:
    assert audit(output) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(find_spec("cyclonedx_py") is None, reason="./run sbom installs it")
def test_the_sbom_lists_each_package_of_the_image(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "install_locked", lambda *_: None)
    monkeypatch.setattr(run, "SBOM", tmp_path / "build" / "sbom.json")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.chdir(ROOT)

    assert run.sbom() == 0

    sbom = json.loads((tmp_path / "build" / "sbom.json").read_text())
    listed = {f"{component['name']}=={component['version']}" for component in sbom["components"]}
    assert sbom["bomFormat"] == "CycloneDX"
    assert listed == set(pins(ROOT / "deploy" / "requirements.lock"))
    assert sbom["metadata"]["component"]["name"] == "rollbook"
