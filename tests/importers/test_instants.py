"""Times as other products write them."""

from __future__ import annotations

import pytest

from rollbook.formats.timestamps import parse_time


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2015-02-23T22:28:55.111Z", "2015-02-23T22:28:55.111000+00:00"),
        ("2015-02-23t22:28:55.1234567z", "2015-02-23T22:28:55.123456+00:00"),
        ("2015-02-23T22:28:55+02:00", "2015-02-23T20:28:55+00:00"),
        ("2015-02-23 22:28:55 UTC", "2015-02-23T22:28:55+00:00"),
        ("2015-02-23T22:28:55", "2015-02-23T22:28:55+00:00"),
        ("2015-02-23", "2015-02-23T00:00:00+00:00"),
        (1424730535, "2015-02-23T22:28:55+00:00"),
        (1424730535.5, "2015-02-23T22:28:55.500000+00:00"),
        (1424730535111, "2015-02-23T22:28:55.111000+00:00"),
        ("1424730535", "2015-02-23T22:28:55+00:00"),
        ("1424730535111", "2015-02-23T22:28:55.111000+00:00"),
        (-86_400, "1969-12-31T00:00:00+00:00"),
    ],
)
def test_times_may_have_any_format(value: object, iso: str) -> None:
    at = parse_time(value)

    assert at is not None
    assert at.isoformat() == iso


@pytest.mark.parametrize(
    "value",
    [None, True, "", "yesterday", "2015-13-01", "٢٠١٥-٠٢-٢٣", [], {}, 1e30, float("nan"), "0001-01-01T00:00:00+14:00"],
)
def test_other_values_are_not_times(value: object) -> None:
    assert parse_time(value) is None
