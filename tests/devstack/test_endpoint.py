"""Runs that begin together choose different ports."""

from __future__ import annotations

import subprocess
import sys

from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack.endpoint import free_port, is_free, preferred_port

OTHER = "import sys; from rollbook_ops.devstack.endpoint import preferred_port as p; print(p({}), flush=True); input()"


def test_two_runs_that_begin_together_choose_different_ports_until_one_has_ended() -> None:
    wanted = free_port()
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER.format(wanted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert int(other.stdout.readline()) == wanted

        assert is_free(wanted)  # it has started no server yet
        assert preferred_port(wanted) != wanted
    finally:
        other.kill()
        other.communicate(timeout=DEADLINE_SECONDS)
    assert preferred_port(wanted) == wanted
    assert preferred_port(wanted) == wanted
