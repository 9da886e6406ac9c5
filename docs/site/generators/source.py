"""What is written in our source beside what runs: the text below a name, and the calls that are made."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = (
    *("shared/rollbook_shared", "producer/rollbook", "producer/rollbook_server", "producer/rollbook_ops"),
    *("worker/rollbook_worker", "worker/rollbook_delivery"),
)


def texts_below(owner: type | ModuleType) -> dict[str, str]:
    """By name, the string that stands below an assignment in a class or a module."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(owner, type) and isinstance(tree.body[0], ast.ClassDef) else tree.body
    found = {}
    for node, following in pairwise(body):
        name = _assigned(node)
        if name and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            found[name] = " ".join(inspect.cleandoc(str(following.value.value)).split())
    return found


def _assigned(node: ast.stmt) -> str | None:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def calls() -> Iterator[ast.Call]:
    """Every call in our packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def summary(text: str | None) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(inspect.cleandoc(text or "").partition("\n\n")[0].split())


def table(*head: str, rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines: list[tuple[str, ...]] = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
