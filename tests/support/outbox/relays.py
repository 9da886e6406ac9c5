"""How a test makes a relay."""

from __future__ import annotations

from collections.abc import Callable

from rollbook_ops.relay.relay import Relay

MakeRelay = Callable[..., Relay]
