"""A setting that cannot be used is named, whatever is in it."""

from __future__ import annotations

import pytest
from tests.support.repository import known_variables

from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import Settings

_TEXTS = {
    *("ROLLBOOK_BROKER_URL", "ROLLBOOK_DATABASE_URL", "ROLLBOOK_OUTBOX_URL", "ROLLBOOK_HEALTH_FILE"),
    *("ROLLBOOK_METRICS_ADDRESS", "ROLLBOOK_ERASURE_KEY", "ROLLBOOK_TRANSPORT", "ROLLBOOK_LOG_FORMAT"),
}
NUMBERS = sorted(name for name in known_variables() - _TEXTS if name.startswith("ROLLBOOK_"))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["many", "nan", "inf", "-1", "1e30"])
def test_what_is_no_number_that_can_be_used_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{name} must be a number"):
        Settings.from_env({name: text})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_other_number_is_taken(name: str) -> None:
    assert Settings.from_env({name: "65535"}) != Settings()
    assert Settings.from_env({name: ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "bounds"),
    [
        ("ROLLBOOK_METRICS_PORT", "65536", "from 0 to 65,535"),
        ("ROLLBOOK_BATCH_SIZE", "0", "from 1 to 100,000,000"),
        ("ROLLBOOK_MAX_BULK_USERS", "100000001", "from 1 to 100,000,000"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_with_them(name: str, text: str, bounds: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{name} must be a number {bounds}$"):
        Settings.from_env({name: text})
