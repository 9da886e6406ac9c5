"""kombu, Celery and billiard do not promise the names that we rely on: these tests say what an upgrade changed."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import kombu
import pytest
from celery.concurrency.base import BasePool
from celery.events.dispatcher import EventDispatcher
from celery.worker.consumer import Consumer, Events, Tasks
from kombu.asynchronous.hub import Hub
from kombu.asynchronous.timer import Timer
from kombu.common import QoS
from kombu.transport import redis as kombu_redis
from tests.support.batching.fake_consumer import FakeConsumer, Loop
from tests.support.repository import ROOT
from tests.support.upstream import find_owner, fits, has_name, signature_of

from rollbook_worker.celery_ext.privates import UPSTREAM_NAMES, UpstreamName

WORKER = ROOT / "worker" / "rollbook_worker"
OPERATORS = ROOT / "producer" / "rollbook_ops"
PROJECTS = ("celery", "kombu", "billiard", "flower")


def _id(name: UpstreamName) -> str:
    return f"{name.owner}.{name.name}"


def _advice(name: UpstreamName) -> str:
    installed = ", ".join(f"{project} {version(project)}" for project in PROJECTS)
    return f"(installed: {installed}). Read the upstream change, adapt {name.used_by}, then celery_ext/privates.py."


@pytest.mark.parametrize("name", UPSTREAM_NAMES, ids=_id)
def test_upstream_has_each_name(name: UpstreamName) -> None:
    """A name that is gone would fail only in a running worker, or not at all."""
    assert has_name(find_owner(name.owner), name.name), f"{_id(name)} no longer exists {_advice(name)}"


@pytest.mark.parametrize("name", [name for name in UPSTREAM_NAMES if name.signature], ids=_id)
def test_upstream_functions_have_the_expected_parameters(name: UpstreamName) -> None:
    """What we override must accept what upstream passes, and what we call must accept what we pass."""
    found = signature_of(getattr(find_owner(name.owner), name.name))

    assert fits(name.signature or "", found), f"{_id(name)} was {name.signature} and is {found} {_advice(name)}"


def test_upstream_versions() -> None:
    """The minor versions for which this was written."""
    assert kombu.__version__.startswith("5.7."), "read the changes of kombu/transport/redis.py, then change this line"


def test_the_list_has_every_private_name_in_use() -> None:
    """A private attribute of an object that is not ours must be in the list, so that an upgrade is noticed."""
    listed = {name.name for name in UPSTREAM_NAMES}
    files = [*WORKER.rglob("*.py"), *(OPERATORS / "devstack").rglob("*.py")]

    missing = sorted(
        f"{file.relative_to(ROOT)}: {name}" for file in files for name in _private_names_of_others(file) - listed
    )

    assert missing == []


def _private_names_of_others(file: Path) -> set[str]:
    """Private attributes that are read in the file, and that nothing in its package defines or sets on `self`."""
    tree = ast.parse(file.read_text())
    own = {"_asdict", "_replace", "_exit"}  # of named tuples and of `os`: documented
    for neighbour in file.parent.glob("*.py"):
        for node in ast.walk(ast.parse(neighbour.read_text())):
            if isinstance(node, ast.FunctionDef):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                own.add(node.attr)
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in read if name.startswith("_") and not name.startswith("__")} - own


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_each_file_that_uses_an_upstream_name_exists() -> None:
    used_by = {name.used_by for name in UPSTREAM_NAMES}

    assert [file for file in sorted(used_by) if not ((WORKER / file).exists() or (OPERATORS / file).exists())] == []


def test_stock_workers_and_ours_agree_on_the_form_of_an_entry() -> None:
    assert kombu_redis.Channel.unacked_key == "unacked"
    assert "dumps([message._raw, EX, RK])" in inspect.getsource(kombu_redis.QoS.append)
    assert kombu_redis.Channel.keyprefix_queue == "_kombu.binding.%s"


def test_the_fake_consumer_resembles_celerys() -> None:
    """The tests of batching use a consumer made by hand; it must have no name that Celery's has not."""
    stage = FakeConsumer()
    fakes: list[tuple[object, tuple[type, ...]]] = [
        (stage.consumer, (Consumer, Events, Tasks)),
        (stage.consumer.pool, (BasePool,)),
        (stage.consumer.event_dispatcher, (EventDispatcher,)),
        (stage.consumer.timer, (Timer,)),
        (stage.loop, (Hub,)),
        (stage.consumer.qos, (QoS,)),
        (stage.channel, (kombu_redis.Channel,)),
    ]
    ours = {"run", "_soon", "extend_leases", "send_all", "send_in_groups", "skips_tasks"}

    unknown = [
        f"{real[0].__qualname__}.{name}"
        for fake, real in fakes
        for name in {*vars(fake), *(vars(Loop) if fake is stage.loop else ())} - ours
        if not name.startswith("__") and not any(has_name(owner, name) for owner in real)
    ]

    assert unknown == [], (
        f"Celery or kombu changed these names: adapt {FakeConsumer.__module__}, and what relies on them"
    )
