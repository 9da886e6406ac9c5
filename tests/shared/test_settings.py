"""Settings: an invalid one is named, and its value is not quoted."""

from __future__ import annotations

import pytest

from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import Settings, all_settings

_TEXTS = {
    *("ROLLBOOK_BROKER_URL", "ROLLBOOK_DATABASE_URL", "ROLLBOOK_OUTBOX_URL", "ROLLBOOK_HEALTH_FILE"),
    *("ROLLBOOK_METRICS_ADDRESS", "ROLLBOOK_ERASURE_KEY", "ROLLBOOK_TRANSPORT", "ROLLBOOK_LOG_FORMAT"),
    *("ROLLBOOK_MISTAKEN_IDS", "ROLLBOOK_ERASURE_PREVIOUS_KEYS", "ROLLBOOK_REGISTRY", "ROLLBOOK_TEMPLATES"),
    "ROLLBOOK_SCHEMA",
}
NUMBERS = sorted({setting.variable for setting, _ in all_settings()} - _TEXTS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["many", "nan", "inf", "-1", "1e30"])
def test_an_invalid_number_is_rejected_by_name(name: str, text: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{name} must be a number"):
        Settings.from_env({name: text})


@pytest.mark.parametrize("name", NUMBERS)
def test_every_other_number_is_accepted(name: str) -> None:
    longer = {"ROLLBOOK_STATEMENT_TIMEOUT_SECONDS": "65536"} if name == "ROLLBOOK_LOCK_TIMEOUT_SECONDS" else {}

    assert Settings.from_env({name: "65535", **longer}) != Settings.from_env(longer)
    assert Settings.from_env({name: ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "bounds"),
    [
        ("ROLLBOOK_METRICS_PORT", "65536", "from 0 to 65,535"),
        ("ROLLBOOK_BATCH_SIZE", "0", "from 1 to 100,000,000"),
        ("ROLLBOOK_MAX_BULK_USERS", "100000001", "from 1 to 100,000,000"),
    ],
)
def test_a_number_out_of_bounds_is_rejected_with_the_bounds(name: str, text: str, bounds: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{name} must be a number {bounds}$"):
        Settings.from_env({name: text})


@pytest.mark.parametrize(
    ("lock", "statement", "shown"),
    [
        ("30", "", r"\(30\) must be more than 0 and less than ROLLBOOK_STATEMENT_TIMEOUT_SECONDS \(30\)"),
        ("", "4.5", r"\(5\) must be more than 0 and less than ROLLBOOK_STATEMENT_TIMEOUT_SECONDS \(4.5\)"),
        ("0", "", r"\(0\) must be more than 0"),
    ],
)
def test_a_lock_timeout_that_would_end_as_a_slow_statement_is_rejected(lock: str, statement: str, shown: str) -> None:
    env = {"ROLLBOOK_LOCK_TIMEOUT_SECONDS": lock, "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS": statement}

    with pytest.raises(NotConfigured, match=f"^ROLLBOOK_LOCK_TIMEOUT_SECONDS {shown}"):
        Settings.from_env(env)


@pytest.mark.parametrize(("lock", "statement"), [("29.9", "30"), ("60", "0"), ("0", "0")])
def test_a_lock_timeout_that_ends_first_is_accepted(lock: str, statement: str) -> None:
    env = {"ROLLBOOK_LOCK_TIMEOUT_SECONDS": lock, "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS": statement}

    assert Settings.from_env(env).lock_timeout.total_seconds() == float(lock)


@pytest.mark.parametrize("name", ["ROLLBOOK_TRANSPORT", "ROLLBOOK_LOG_FORMAT", "ROLLBOOK_MISTAKEN_IDS"])
def test_a_choice_accepts_only_its_values(name: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{name} must be \\w+ or \\w+$"):
        Settings.from_env({name: "S3cret"})


@pytest.mark.parametrize(
    "name", ["pg_rollbook", "public", "information_schema", "1st", "a.b", 'a"b', "a'b", "é", "x" * 41]
)
def test_a_name_that_no_schema_may_have_is_rejected(name: str) -> None:
    with pytest.raises(NotConfigured, match=r"^ROLLBOOK_SCHEMA must be a name of 1 to 40 characters"):
        Settings.from_env({"ROLLBOOK_SCHEMA": name})


@pytest.mark.parametrize("name", ["rollbook", "EU-west", "user", "a_1", "Pg_x", "x" * 40])
def test_every_other_name_of_a_schema_is_accepted(name: str) -> None:
    assert Settings.from_env({"ROLLBOOK_SCHEMA": name}).schema == name


def test_the_defaults_that_are_documented_are_those_of_the_code() -> None:
    assert Settings.from_env({setting.variable: default for setting, default in all_settings()}) == Settings()


def test_every_setting_says_what_it_means() -> None:
    assert {setting.meaning[-1] for setting, _ in all_settings()} == {"."}


def test_no_url_and_no_key_is_in_the_repr() -> None:
    urls = {
        setting.variable: "S3cret"
        for setting, _ in all_settings()
        if setting.variable.endswith(("_URL", "_KEY", "_KEYS"))
    }

    assert len(urls) == 5
    assert "S3cret" not in repr(Settings.from_env(urls))
