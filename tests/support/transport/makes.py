"""The makes of broker that the transport is tested on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.brokers import REDIS_NEEDED

MAKES: list[Any] = ["valkey", pytest.param("redis", marks=REDIS_NEEDED)]
