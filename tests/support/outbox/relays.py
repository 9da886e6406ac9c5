"""The type of the fixture that makes relays."""

from __future__ import annotations

from collections.abc import Callable

from rollbook_ops.relay.relay import Relay

MakeRelay = Callable[..., Relay]
