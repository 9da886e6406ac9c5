"""kombu keeps no promise about what our transport is built on: here an upgrade fails, with the name of what changed."""

from __future__ import annotations

import inspect
from typing import Any

import kombu
import pytest
from kombu.transport import redis as kombu_redis

from rollbook_worker.celery_ext.transport import kombu_internals


def test_kombu_is_of_the_minor_version_that_this_was_written_for() -> None:
    assert kombu.__version__.startswith("5.7."), "read the changes of kombu/transport/redis.py, then change this"


@pytest.mark.parametrize(("name", "signature"), kombu_internals.RELIED_ON.items())
def test_kombu_is_called_as_it_expects(name: str, signature: str) -> None:
    owner, method = name.split(".")

    found = getattr(getattr(kombu_internals, owner), method)

    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(found).parameters.values()
    ]
    assert str(inspect.Signature(bare)) == signature


@pytest.mark.parametrize(
    ("owner", "attribute"), [(owner, each) for owner, attributes in kombu_internals.KEPT.items() for each in attributes]
)
def test_kombu_keeps_what_we_read_under_its_name(owner: str, attribute: str, broker_url: str) -> None:
    with kombu_internals.Connection(broker_url) as connection:
        channel: Any = connection.channel()
        things = {"Channel": channel, "QoS": channel.qos, "MultiChannelPoller": connection.transport.cycle}

        assert hasattr(things[owner], attribute)


def test_stock_workers_and_ours_agree_on_the_form_of_an_entry() -> None:
    assert kombu_redis.Channel.unacked_key == "unacked"
    assert "dumps([message._raw, EX, RK])" in inspect.getsource(kombu_redis.QoS.append)
    assert kombu_redis.Channel.keyprefix_queue == "_kombu.binding.%s"
