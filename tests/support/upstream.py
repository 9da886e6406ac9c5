"""What the installed kombu, Celery and billiard have: signatures, and the names that their classes set."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from typing import Any


def find_owner(path: str) -> Any:
    """The module or the class at `package.module:Class`."""
    module, _, name = path.partition(":")
    owner: Any = importlib.import_module(module)
    return getattr(owner, name) if name else owner


def has_name(owner: Any, name: str) -> bool:
    """Whether the module or the class has the name, or a method of the class sets it on some object."""
    return hasattr(owner, name) or (isinstance(owner, type) and name in names_set_by(owner))


def names_set_by(class_: type) -> set[str]:
    """The attributes that methods of the class and its bases set, on `self` or on another object."""
    found: set[str] = set()
    for base in class_.__mro__:
        if base.__module__ == "builtins":
            continue
        tree = ast.parse(inspect.getsource(sys.modules[base.__module__]))
        (definition,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == base.__name__]
        found |= {
            node.attr
            for node in ast.walk(definition)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        found |= {
            node.target.id
            for node in definition.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
    return found


def signature_of(function: Any) -> str:
    """Parameters without types. A default that is not a literal is `...`."""
    parameters = [
        parameter.replace(
            annotation=inspect.Parameter.empty,
            default=parameter.default if _is_literal(parameter.default) else ...,
        )
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters)).replace("Ellipsis", "...")


def fits(signature: str, found: str) -> bool:
    """Whether a signature is the expected one; `, ...)` at its end allows further parameters."""
    start = signature.removesuffix(", ...)")
    return found == signature or (start != signature and (found.startswith(f"{start}, ") or found == f"{start})"))


def _is_literal(value: object) -> bool:
    return value in (inspect.Parameter.empty, None, (), {}, []) or isinstance(value, bool | int | float | str)
