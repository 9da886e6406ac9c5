"""The type of the fixture that makes logins."""

from __future__ import annotations

from collections.abc import Callable

Login = Callable[[str], str]
