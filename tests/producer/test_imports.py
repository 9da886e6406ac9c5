"""What the client imports, and when: a program pays for what it calls, and for nothing else."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

LAZY: Final = (
    "rollbook",
    "rollbook.commands",
    "rollbook.models",
    "rollbook.publishing",
    "rollbook.queries",
    "rollbook_shared.jobs",
)
UNREACHABLE: Final = "redis://127.0.0.1:1/0"

LOADED: Final = """
import json, sys
before = set(sys.modules)
{program}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
IDENTIFY: Final = f"""
from rollbook import NotSent, Rollbook
try:
    Rollbook(broker_url="{UNREACHABLE}").users.identify("ann", {{"plan": "pro"}})
except NotSent:
    pass
"""


def loaded(program: str) -> list[str]:
    """The modules that the program imports, in a process of its own."""
    modules: list[str] = json.loads(run(LOADED.format(program=program)))
    return modules


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def packages(modules: list[str]) -> set[str]:
    """Those that are neither Python's nor ours."""
    known = {*sys.stdlib_module_names, "org", "nt", "rollbook", "rollbook_shared"}
    return {module.partition(".")[0] for module in modules} - known


def test_the_client_is_imported_with_the_standard_library_alone() -> None:
    """pydantic, orjson, redis and psycopg come with the first call that needs them."""
    modules = loaded("from rollbook import Rollbook")

    assert packages(modules) == set()
    assert "asyncio" not in modules


def test_the_first_write_imports_nothing_that_only_reads_need() -> None:
    modules = loaded(IDENTIFY)

    assert [module for module in modules if module.startswith(("rollbook.queries.", "rollbook.models."))] == []
    others = {"psycopg", "celery", "kombu", "sqlalchemy", "fastapi", "starlette", "jinja2", "liquid", "typer", "rich"}
    assert others & packages(modules) == set()
    assert {"pydantic", "redis"} <= packages(modules)  # it does import what it needs


def test_the_first_identify_is_an_import_of_each_module_that_it_needs_and_no_client_of_coroutines() -> None:
    modules = loaded(IDENTIFY)

    assert [module for module in modules if module.startswith("rollbook.") and "async" in module] == []
    assert [module for module in modules if module.startswith("rollbook.publishing.")] == [
        "rollbook.publishing.celery_message",
        "rollbook.publishing.direct",
        "rollbook.publishing.publisher",
        "rollbook.publishing.redis",
        "rollbook.publishing.spans",
    ]


@pytest.mark.parametrize("name", LAZY)
def test_every_public_name_can_be_imported(name: str) -> None:
    package = importlib.import_module(name)

    assert [each for each in package.__all__ if getattr(package, each, None) is None] == []


@pytest.mark.parametrize("name", LAZY)
def test_type_checkers_see_the_names_that_programs_get(name: str) -> None:
    package = importlib.import_module(name)
    shown = shown_to_type_checkers(package)

    assert sorted(shown) == sorted(set(package.__all__) - eager(package))
    for each, module in shown.items():
        assert getattr(package, each) is getattr(importlib.import_module(module), each)


@pytest.mark.parametrize("name", LAZY)
def test_a_shell_completes_names_that_were_not_used_yet(name: str) -> None:
    listed = run(f"import {name}; print(*dir({name}))").split()

    assert set(importlib.import_module(name).__all__) <= set(listed)


@pytest.mark.parametrize("name", LAZY)
def test_a_misspelt_name_is_an_attribute_error(name: str) -> None:
    package = importlib.import_module(name)

    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'identfy'"):
        package.identfy  # noqa: B018


def eager(package: ModuleType) -> set[str]:
    """The names that the package imports at once."""
    return {
        alias.name
        for statement in ast.parse(source(package)).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def shown_to_type_checkers(package: ModuleType) -> dict[str, str]:
    """Name -> the module that the block under `TYPE_CHECKING` imports it from."""
    (block,) = (
        statement
        for statement in ast.parse(source(package)).body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    )
    return {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }


def source(package: ModuleType) -> str:
    assert package.__file__ is not None
    return Path(package.__file__).read_text()
