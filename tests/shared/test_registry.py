"""The registry of channels and workflows: what its file may say, and how errors name what is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import (
    CHANNEL_DATA,
    Channel,
    DeliveryMethod,
    Priority,
    Registry,
    RegistryFile,
    Workflow,
    parse_registry,
)

FULL = """
[channels."182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
type = "push"
provider = "fcm"

[channels.mail]
type = "email"
delivery = "smtp"
max_age = "2d"
attempts = 3
delay = "10m"
skip_seen = true
per_second = 0.5

[channels.mail.options]
host = "mail.example.com"

[channels.mail-2]
type = "email"

[workflows.comment]
channels = ["in_app", "mail", "mail-2"]
categories = ["social"]

[workflows.digest]
active = false

[workflows.password-reset]
channels = ["mail-2"]
priority = "high"

[events]
"Comment Written" = "comment"
"""

DELIVERED = "[channels.m]\ntype = 'e'\ndelivery = '"


def test_a_full_registry() -> None:
    registry = parse_registry(FULL)

    assert registry.channels["182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"] == Channel(
        key="182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e", type="push", provider="fcm"
    )
    assert registry.workflow("comment") == Workflow(
        key="comment", channels=("in_app", "mail", "mail-2"), categories=("social",)
    )
    assert registry.workflow("digest") == Workflow(key="digest", channels=("in_app",), active=False)
    assert registry.workflow("other") is None
    assert registry.events == {"Comment Written": "comment"}
    assert registry.channel_types(Workflow(key="c", channels=("in_app", "mail", "mail-2"))) == ("in_app", "email")
    assert registry.channel_of_type("email").key == "mail"
    assert registry.channel_type("unknown") == "unknown"


def test_what_a_channel_says_of_delivery() -> None:
    registry = parse_registry(FULL)

    assert registry.channels["mail"] == Channel(
        key="mail",
        type="email",
        delivery=DeliveryMethod.SMTP,
        needs="email",
        max_age=timedelta(days=2),
        attempts=3,
        delay=timedelta(minutes=10),
        skip_seen=True,
        per_second=0.5,
        options={"host": "mail.example.com"},
    )
    assert registry.channels["mail-2"].delivery is None
    assert registry.delivers
    assert not parse_registry('[channels.mail]\ntype = "email"').delivers


@pytest.mark.parametrize(
    ("says", "needs"),
    [
        ('type = "email"', "email"),
        ('type = "sms"', "phone_number"),
        ('type = "push"', CHANNEL_DATA),
        ('type = "chat"', CHANNEL_DATA),
        ('type = "webhook"', None),
        ('type = "email"\nneeds = "work_email"', "work_email"),
        ('type = "email"\nneeds = "nothing"', None),
    ],
)
def test_what_a_channel_needs_by_default_is_said_by_its_type(says: str, needs: str | None) -> None:
    channel = parse_registry(f'[channels.x]\ndelivery = "claim"\n{says}').channels["x"]

    assert channel.needs == needs


def test_the_channel_by_which_a_message_leaves_is_that_of_its_workflow() -> None:
    registry = parse_registry("""
[channels.a]
type = "email"
delivery = "claim"
[channels.b]
type = "email"
delivery = "claim"
[channels.c]
type = "sms"
[workflows.one]
channels = ["b", "c"]
""")

    def delivered(workflow: str, name: str) -> str | None:
        channel = registry.delivered_channel(workflow, name)
        return None if channel is None else channel.key

    assert delivered("one", "email") == "b"  # its own
    assert delivered("another", "email") == "a"  # the first of the type
    assert delivered("one", "a") == "a"  # a trigger names it
    assert delivered("one", "sms") is None  # it stays
    assert delivered("one", "in_app") is None
    assert delivered("one", "fax") is None


def test_the_priority_of_a_workflow() -> None:
    registry = parse_registry(FULL)

    assert registry.priority("password-reset") is Priority.HIGH
    assert registry.priority("comment") is registry.priority("unknown") is Priority.NORMAL


def test_without_workflows_every_workflow_exists_and_uses_the_feed() -> None:
    for registry in (Registry(), parse_registry(""), parse_registry('[channels.mail]\ntype = "email"')):
        assert registry.workflow("any") == Workflow(key="any", channels=("in_app",))
    assert parse_registry("[workflows]").workflow("any") is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[workflows\n", "line 1"),
        ("\n\nx = \n", "line 3"),
        ("x = 1", "the file has the key x, which is none of channels, workflows, events"),
        ("channels = 1", "[channels] must be a table"),
        ("[channels]\nmail = 1", '[channels."mail"] must be a table'),
        ("[channels.mail]", '[channels."mail"]: type must be text'),
        ('[channels.mail]\ntype = ""', '[channels."mail"]: type must be text'),
        ('[channels.mail]\ntype = "email"\nurl = "x"', '[channels."mail"] has the key url'),
        ('[workflows.w]\nchannels = "in_app"', '[workflows."w"]: channels must be a list of texts'),
        ("[workflows.w]\nchannels = []", '[workflows."w"]: channels must name at least one channel'),
        ('[workflows.w]\nchannels = ["none"]', 'channels names "none", and there is no [channels."none"]'),
        ("[workflows.w]\ncategories = [1]", '[workflows."w"]: categories must be a list of texts'),
        ('[channels.m]\ntype = "e"\nattempts = 3', '[channels."m"]: attempts has no effect without delivery'),
        (f"{DELIVERED}mail'", '[channels."m"]: delivery must be one of claim, celery, webhook, smtp, apprise'),
        (f"{DELIVERED}claim'\nneeds = 1", '[channels."m"]: needs must be text'),
        (f"{DELIVERED}claim'\nmax_age = 60", 'max_age must be a time such as "90s", "10m", "1h" or "2d"'),
        (f"{DELIVERED}claim'\nmax_age = '99999999d'", 'max_age must be a time such as "90s", "10m", "1h" or "2d"'),
        (f"{DELIVERED}claim'\ndelay = '1h'", "max_age must be longer than delay"),
        (f"{DELIVERED}claim'\nattempts = 0", "attempts must be a number from 1 to 100"),
        (f"{DELIVERED}claim'\nskip_seen = 1", "skip_seen must be true or false"),
        (f"{DELIVERED}claim'\nper_second = 0", "per_second must be a number that is more than 0"),
        (f"{DELIVERED}claim'\noptions = 0", '[channels."m"]: options must be a table'),
        ("[workflows.w]\npriority = 1", '[workflows."w"]: priority must be one of high, normal, low'),
        ('[workflows.w]\nactive = "no"', '[workflows."w"]: active must be true or false'),
        ('[events]\n"Order Completed" = 1', '[events]: "Order Completed" must be the key of a workflow'),
        ('[events]\nbought = "w"\n[workflows.v]', '[events]: "bought" must be the key of a workflow'),
        (f"[workflows.{'x' * 257}]", "a key has 1 to 256 characters"),
    ],
)
def test_what_is_not_understood_is_named(text: str, wanted: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        parse_registry(text, what="the registry r.toml")

    assert str(caught.value).startswith("the registry r.toml")
    assert wanted in str(caught.value)


def test_a_file_that_became_invalid_leaves_the_registry_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(FULL)
    file = RegistryFile(str(path))
    path.write_text("[")

    with pytest.raises(NotConfigured):
        file.reload()

    assert file.current.workflow("comment")
    path.write_text("[workflows.new]")
    assert file.reload().workflow("new") == file.current.workflow("new") is not None


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "registry.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(NotConfigured, match=r"the registry .*registry\.toml cannot be read"):
        RegistryFile(str(path))


def test_a_changed_file_is_read_again_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "registry.toml"
    path.write_text("[workflows.old]")
    now = 0.0
    file = RegistryFile(str(path), clock=lambda: now)
    path.write_text("[workflows.newer]")

    assert file.latest().workflow("old")  # not looked at yet
    now = 1.0
    assert file.latest().workflow("newer")
    path.write_text("[")
    now = 2.0
    assert file.latest().workflow("newer")
    assert "the registry stays as it is" in caplog.text
    path.unlink()
    now = 3.0
    assert file.latest().workflow("newer")
