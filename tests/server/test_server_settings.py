"""The server's settings: their defaults, what is rejected, and that no key is shown."""

from __future__ import annotations

from typing import Any

import pytest

from rollbook_server.settings import AnonymousVisitors, ServerSettings
from rollbook_shared.environment import settings_with_defaults
from rollbook_shared.errors import NotConfigured


def test_the_defaults_that_are_documented_are_those_of_the_code() -> None:
    documented = {setting.variable: default for setting, default in settings_with_defaults(ServerSettings())}

    assert ServerSettings.from_env(documented) == ServerSettings.from_env({}) == ServerSettings()


def test_lists_are_separated_by_commas() -> None:
    settings = ServerSettings.from_env({"ROLLBOOK_SECRET_KEYS": "sk_a, sk_b,,", "ROLLBOOK_SEGMENT_ANONYMOUS": "users"})

    assert settings.secret_keys == ("sk_a", "sk_b")
    assert settings.segment_anonymous is AnonymousVisitors.USERS


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ROLLBOOK_SERVER_WAIT_SECONDS", "-1"),
        ("ROLLBOOK_SERVER_MAX_BODY_BYTES", "0"),
        ("ROLLBOOK_SERVER_MAX_REQUESTS", "many"),
        ("ROLLBOOK_SEGMENT_ANONYMOUS", "S3cret"),
    ],
)
def test_an_invalid_value_is_rejected_by_name(variable: str, text: str) -> None:
    with pytest.raises(NotConfigured, match=f"^{variable} must be ") as caught:
        ServerSettings.from_env({variable: text})

    assert "S3cret" not in str(caught.value)


def test_no_key_is_in_the_repr() -> None:
    keys: dict[str, Any] = {
        setting.variable: "S3cret"
        for setting, _ in settings_with_defaults(ServerSettings())
        if setting.variable.endswith(("_KEYS", "_KEY"))
    }

    assert len(keys) == 4
    assert "S3cret" not in repr(ServerSettings.from_env(keys))
