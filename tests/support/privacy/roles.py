"""How a test gets a login in a role."""

from __future__ import annotations

from collections.abc import Callable

Login = Callable[[str], str]
