"""The channels of a chaos run: mail by `rollbook deliver` and a webhook, pushes by an application's sender."""

from __future__ import annotations

from typing import Final

MAIL_CHANNEL: Final = "mail"
OWN_CHANNEL: Final = "phone"
DELIVERED_TYPES: Final = ("email", "push")
SINK_URL: Final = "SINK_URL"
"""The environment variable."""
SINK_TIMEOUT: Final = 1.0
"""Of an attempt, in seconds; far shorter than in production, as the leases are."""

_TEMPLATE: Final = """
# jobs are up to months old, and faults may fail many attempts; that is no reason to give a message up
[channels.{mail}]
type = "email"
delivery = "webhook"
max_age = "3650d"
attempts = 100

[channels.{mail}.options]
url_env = "SINK_URL"
secret_envs = ["SINK_SECRET"]
allow_private = true
timeout = {timeout}
concurrency = 4

[channels.{own}]
type = "push"
delivery = "claim"
needs = "nothing"
max_age = "3650d"
attempts = 100
"""


REGISTRY: Final = _TEMPLATE.format(mail=MAIL_CHANNEL, own=OWN_CHANNEL, timeout=SINK_TIMEOUT)
"""As TOML. It names no workflows, so triggers over HTTP use the feed alone, as without a registry."""


def sink_variables(url: str, sender: str) -> dict[str, str]:
    """The environment variables of a sender: where it hands over, by a URL from which the sink knows it."""
    return {SINK_URL: f"{url}/{sender}", "SINK_SECRET": "whsec_" + "A" * 44}
