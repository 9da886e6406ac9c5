"""No test without the mark `servers` starts a server: `./run test --fast` relies on it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rollbook_ops.devstack.server import Server


@dataclass
class CurrentTest:
    has_mark: bool = True


current_test = CurrentTest()
"""The test that runs in this process."""


def guard_servers(patch: pytest.MonkeyPatch) -> None:
    """Let a start of a server fail while a test without the mark runs."""
    start = Server.start

    def start_if_marked(server: Server) -> None:
        assert current_test.has_mark, "what starts a server depends on the fixture starts_servers, or has its mark"
        start(server)

    patch.setattr(Server, "start", start_if_marked)
