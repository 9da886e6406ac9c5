"""Metrics as Prometheus reads them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

from tests.support.waits import DEADLINE_SECONDS


def fetched(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE_SECONDS) as answer:
        return str(answer.read().decode())


def answers(port: int) -> bool:
    try:
        return bool(fetched(port))
    except urllib.error.URLError:
        return False


def value(port: int, sample: str) -> float | None:
    """The value of a series, as it is written in the text."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", fetched(port), re.MULTILINE)
    return float(found.group(1)) if found else None
