"""The header `Retry-After`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rollbook_delivery.senders.retry_after import LONGEST, parse_retry_after

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 15, LONGEST),
        ("9" * 400, None),
        ("Mon, 30 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 30 Nov 2026 12:01:00", 60.0),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        ("", None),
        ("1.5", None),
        ("-1", None),
        ("tomorrow", None),
        ("Mon, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds
