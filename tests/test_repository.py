"""Rules of the repository: no file names a machine, every dependency is pinned, helpers are in tests/support."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support.repository import LOCKS, ROOT, pins, tracked

# Put together here, so that this file does not contain what it forbids.
_INDEX_HOSTS = ["py" + "pi.org", "python" + "hosted.org", "py" + "pi.python.org"]
_INDEX_OPTIONS = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--default" + "-index"]
_TOP_FOLDERS = ["wo" + "rk", "ro" + "ot", "ho" + "me", "fa" + "rm", "Us" + "ers"]
_MACHINE_PATHS = [rf"(?<![\w.~-])/{folder}/\w" for folder in _TOP_FOLDERS]
_FORBIDDEN = re.compile("|".join([*map(re.escape, _INDEX_HOSTS + _INDEX_OPTIONS), *_MACHINE_PATHS]))


def lines_of_text(path: Path) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(path.read_text().splitlines(), start=1)
    except UnicodeDecodeError:
        return


def test_no_tracked_file_names_an_index_or_a_path_of_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in lines_of_text(path)
        if _FORBIDDEN.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("line", [f"see https://{_INDEX_HOSTS[0]}/x", "/ro" + "ot/project", _INDEX_OPTIONS[0]])
def test_the_search_finds_hosts_paths_and_options(line: str) -> None:
    assert _FORBIDDEN.search(line)


def test_there_are_no_other_locks() -> None:
    assert sorted(path for path in tracked() if path.suffix == ".lock") == sorted(LOCKS)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_requirement_is_pinned_with_hashes(lock: Path) -> None:
    requirements = pins(lock)

    assert requirements
    assert [name for name, hashes in requirements.items() if "==" not in name or not hashes] == []
    assert not re.search(r"^\s*--(?!hash)|://", lock.read_text(), re.MULTILINE)


def test_every_lock_has_the_versions_that_are_tested() -> None:
    everything, image, *others = (dict(pin.split("==") for pin in pins(lock)) for lock in LOCKS)

    assert image.items() <= everything.items()
    for other in others:
        both = other.keys() & everything
        assert {name: other[name] for name in both} == {name: everything[name] for name in both}


def test_the_lock_satisfies_every_dependency() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = settings["project"], settings["dependency-groups"].values()
    extras = project["optional-dependencies"].values()
    wanted = [
        *project["dependencies"],
        *(line for part in (*extras, *groups) for line in part if isinstance(line, str)),
    ]
    pinned = dict(name.split("==") for lock in reversed(LOCKS) for name in pins(lock))

    unsatisfied = [
        line
        for line in wanted
        if (requirement := Requirement(line)).name != project["name"]
        and not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]

    assert unsatisfied == []


def test_ci_and_run_can_be_executed() -> None:
    assert [name for name in ("run", ".ci/run") if not (ROOT / name).stat().st_mode & 0o111] == []


def test_the_table_of_rules_names_tests_that_exist_and_leaves_no_rule_out() -> None:
    table = (ROOT / "tests" / "README.md").read_text()

    files = re.findall(r"`([a-z_]+/test_[a-z_]+\.py)", table)
    assert [file for file in files if not (ROOT / "tests" / file).exists()] == []
    rules = [int(number) for number in re.findall(r"^\| (\d+) ", table, re.MULTILINE)]
    assert rules == sorted(set(rules))
    assert rules[:29] == list(range(1, 30))  # later rules join when they are built


def test_no_test_imports_from_another_test_or_a_conftest() -> None:
    """What several tests need is in `tests/support`; what pytest collects is imported by pytest alone."""
    imports = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*(?:test_\w+|conftest)\b", re.MULTILINE)
    files = [path for path in tracked() if path.suffix == ".py"]

    assert [str(path.relative_to(ROOT)) for path in files if imports.search(path.read_text())] == []


def test_test_folders_hold_tests_alone() -> None:
    """Helpers are in `tests/support`. What runs as a program, and the tables of the rules, have places of their own."""
    programs = {"tests/dashboard/screenshot.py", "tests/deploy/image.py", "tests/typing/client.py"}
    elsewhere = ("tests/support/", "tests/rules/cases/", "tests/mutations/")
    files = [str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".py"]

    assert [
        file
        for file in files
        if file.startswith("tests/")
        and not file.startswith(elsewhere)
        and not file.rsplit("/", 1)[-1].startswith(("test_", "conftest"))
        and file not in programs
    ] == []


def test_the_official_clients_are_pinned_with_hashes_and_their_lock_names_no_registry() -> None:
    folder = ROOT / "tests" / "support" / "official_clients"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    _, *packages = json.loads((folder / "package-lock.json").read_text())["packages"].items()
    versions = {name.removeprefix("node_modules/"): package["version"] for name, package in packages}

    assert versions.items() >= wanted.items()
    assert [name for name, package in packages if "resolved" in package or not package.get("integrity")] == []
