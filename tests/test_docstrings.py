"""Every public name has a docstring, and the docstring of each call lists the errors that it raises, and no others."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from tests.support.repository import ROOT

from rollbook import Delivery, DeliveryReport, DeliveryState, DeliveryStatus, Rollbook
from rollbook.errors import RollbookError, Unavailable
from rollbook.queries.query import Query, Rows, Statement
from rollbook.resources.activities import Activities
from rollbook.resources.deliveries import Deliveries
from rollbook.resources.feeds import Feeds
from rollbook.resources.jobs import JobHandle, Jobs
from rollbook.resources.measurements import Measurements
from rollbook.resources.messages import Messages
from rollbook.resources.users import Users
from rollbook.resources.workflows import Workflows
from rollbook.testing import RecordingPublisher, recording

_WORKER = ("core/*.py", "store/__init__.py", "store/received_jobs.py", "store/postgres.py")
_FIELDS = ("errors", "limits", "settings", "job_states", "arguments", "received_jobs")
"""Where each field says what it holds, by a text below it or by its name in the text of its class."""
_PROTOCOLS = ("HoldsConnections", "Publisher", "EncodedPublisher", "QueryRunner", "Store")

T = TypeVar("T")
Tree = ast.Module | ast.ClassDef
Definition = ast.ClassDef | ast.FunctionDef


def sources() -> list[Path]:
    ours = (ROOT / "producer" / "rollbook").rglob("*.py")
    shared = (ROOT / "shared" / "rollbook_shared").rglob("*.py")
    return [*ours, *shared, *(path for name in _WORKER for path in (ROOT / "worker" / "rollbook_worker").glob(name))]


SOURCES = [str(path.relative_to(ROOT)) for path in sorted(sources())]


@cache
def tree_of(source: str) -> ast.Module:
    # not when tests are collected, which each process does
    return ast.parse((ROOT / source).read_text())


def definitions(tree: Tree) -> Iterator[Definition]:
    """The public classes and functions in it; of one with overloads the last."""
    found = {node.name: node for node in tree.body if isinstance(node, Definition)}
    return (node for name, node in found.items() if not name.startswith("_"))


def methods(class_: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in definitions(class_) if isinstance(node, ast.FunctionDef)}


@cache
def seams() -> tuple[set[str], ...]:
    """The methods of each protocol. What has them all is one of its kind, and need not repeat what they promise."""
    return tuple(_methods_of_protocols())


def _methods_of_protocols() -> Iterator[set[str]]:
    for source in SOURCES:
        for node in definitions(tree_of(source)):
            if isinstance(node, ast.ClassDef) and node.name in _PROTOCOLS:
                yield set(methods(node))


def silent(tree: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "the module"
    for node in definitions(tree):
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef):
            own = methods(node)
            promised = {name for seam in seams() if seam <= own.keys() for name in seam}
            for name, method in own.items():
                if not ast.get_docstring(method) and name not in promised:
                    yield f"{node.name}.{name}"


def silent_fields(class_: ast.ClassDef) -> Iterator[str]:
    said = ast.get_docstring(class_) or ""
    for node, following in zip(class_.body, [*class_.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            # settings are described in their annotations, from which the documentation is made as well
            is_annotated = "ROLLBOOK_" in ast.unparse(node.annotation)
            if not is_text and not is_annotated and f"`{node.target.id}`" not in said:
                yield f"{class_.name}.{node.target.id}"


@pytest.mark.parametrize("source", SOURCES)
def test_every_public_name_has_a_docstring(source: str) -> None:
    assert list(silent(tree_of(source))) == []


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if Path(source).stem in _FIELDS or "/models/" in source]
)
def test_every_field_is_described(source: str) -> None:
    classes = [node for node in definitions(tree_of(source)) if isinstance(node, ast.ClassDef)]

    assert [field for class_ in classes for field in silent_fields(class_)] == []


PARTS = {
    part.__name__: part
    for part in (Users, Workflows, Feeds, Messages, Activities, Deliveries, Measurements, Jobs, JobHandle)
}
MESSAGE = "6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"
LOST = "6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a12"
"""Of a delivery whose lease was lost."""
CLAIMED = Delivery(
    id=MESSAGE,
    channel="mail",
    type="email",
    workflow="welcome",
    data={},
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    recipient={"id": "ann", "properties": {}},
    lease_ends_at=datetime(2026, 1, 1, tzinfo=UTC),
)
DELIVERY = DeliveryStatus(
    id=MESSAGE,
    user_id="ann",
    channel="push",
    workflow="welcome",
    state=DeliveryState.SENT,
    reason=None,
    attempts=1,
    due_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
DEAD_LETTER = {
    "id": "a-dead-letter",
    "digest": b"0",
    "kind": "identify",
    "code": "failed",
    "reason": "",
    "failed_at": datetime(2026, 1, 1, tzinfo=UTC),
    "trace_id": None,
    "body": b'{"v": 1, "id": "a-dead-letter", "occurred_at": 0, "kind": "delete", "user_id": "ann"}',
}


@dataclass(frozen=True)
class Call:
    """A valid call of the client, and one with an invalid argument."""

    good: Callable[[Rollbook], object]
    bad: Callable[[Rollbook], object] | None


CALLS: Mapping[str, Call] = {
    "Users.identify": Call(lambda rb: rb.users.identify("ann"), lambda rb: rb.users.identify("")),
    "Users.bulk_identify": Call(
        lambda rb: rb.users.bulk_identify([{"id": "ann"}]), lambda rb: rb.users.bulk_identify([])
    ),
    "Users.delete": Call(lambda rb: rb.users.delete("ann"), lambda rb: rb.users.delete("")),
    "Users.bulk_delete": Call(lambda rb: rb.users.bulk_delete(["ann"]), lambda rb: rb.users.bulk_delete([])),
    "Users.merge": Call(lambda rb: rb.users.merge("ann", "guest"), lambda rb: rb.users.merge("ann", "ann")),
    "Users.merge, dry run": Call(
        lambda rb: rb.users.merge("ann", "guest", dry_run=True), lambda rb: rb.users.merge("ann", "ann", dry_run=True)
    ),
    "Users.get": Call(lambda rb: rb.users.get("ann"), lambda rb: rb.users.get("")),
    "Users.get_many": Call(lambda rb: rb.users.get_many(["ann"]), lambda rb: rb.users.get_many([])),
    "Users.list": Call(lambda rb: rb.users.list(), lambda rb: rb.users.list(limit=0)),
    "Users.find": Call(lambda rb: rb.users.find(email="a@example.com"), lambda rb: rb.users.find()),
    "Users.count": Call(lambda rb: rb.users.count(), lambda rb: rb.users.count(prefix="")),
    "Users.all": Call(lambda rb: list(rb.users.all()), lambda rb: list(rb.users.all(where={"id": "ann"}))),
    "Users.export": Call(lambda rb: rb.users.export("ann"), lambda rb: rb.users.export("")),
    "Users.explain": Call(lambda rb: rb.users.explain("ann"), lambda rb: rb.users.explain("")),
    "Users.set_preferences": Call(
        lambda rb: rb.users.set_preferences("ann", "default", {}), lambda rb: rb.users.set_preferences("ann", "", {})
    ),
    "Users.update_preferences": Call(
        lambda rb: rb.users.update_preferences("ann", "default", {}),
        lambda rb: rb.users.update_preferences("ann", "", {}),
    ),
    "Users.unset_preferences": Call(
        lambda rb: rb.users.unset_preferences("ann", "default"), lambda rb: rb.users.unset_preferences("ann", "")
    ),
    "Users.bulk_set_preferences": Call(
        lambda rb: rb.users.bulk_set_preferences(["ann"], "default", {}),
        lambda rb: rb.users.bulk_set_preferences([], "default", {}),
    ),
    "Users.get_preferences": Call(lambda rb: rb.users.get_preferences("ann"), lambda rb: rb.users.get_preferences("")),
    "Users.list_preferences": Call(
        lambda rb: rb.users.list_preferences("ann"), lambda rb: rb.users.list_preferences("")
    ),
    "Users.set_channel_data": Call(
        lambda rb: rb.users.set_channel_data("ann", "push", {}), lambda rb: rb.users.set_channel_data("ann", "", {})
    ),
    "Users.add_push_token": Call(
        lambda rb: rb.users.add_push_token("ann", "push", "t1"), lambda rb: rb.users.add_push_token("ann", "push", "")
    ),
    "Users.remove_push_token": Call(
        lambda rb: rb.users.remove_push_token("ann", "push", "t1"),
        lambda rb: rb.users.remove_push_token("ann", "", "t1"),
    ),
    "Users.unset_channel_data": Call(
        lambda rb: rb.users.unset_channel_data("ann", "push"), lambda rb: rb.users.unset_channel_data("ann", "")
    ),
    "Users.get_channel_data": Call(
        lambda rb: rb.users.get_channel_data("ann", "push"), lambda rb: rb.users.get_channel_data("", "push")
    ),
    "Workflows.trigger": Call(
        lambda rb: rb.workflows.trigger("welcome", ["ann"]), lambda rb: rb.workflows.trigger("welcome", [])
    ),
    "Feeds.list": Call(lambda rb: rb.feeds.list("ann"), lambda rb: rb.feeds.list("ann", after="x")),
    "Feeds.user_ids": Call(lambda rb: rb.feeds.user_ids("ann"), lambda rb: rb.feeds.user_ids("")),
    "Messages.list": Call(lambda rb: rb.messages.list("ann"), lambda rb: rb.messages.list("ann", channel="")),
    "Messages.mark": Call(
        lambda rb: rb.messages.mark(["6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"], "read"),
        lambda rb: rb.messages.mark(["x"], "read"),
    ),
    "Messages.mark_all": Call(
        lambda rb: rb.messages.mark_all("ann", "read"), lambda rb: rb.messages.mark_all("", "read")
    ),
    "Messages.get": Call(
        lambda rb: rb.messages.get("6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"), lambda rb: rb.messages.get("x")
    ),
    "Messages.get_many": Call(
        lambda rb: rb.messages.get_many(["6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"]),
        lambda rb: rb.messages.get_many(["x"]),
    ),
    "Messages.explain": Call(lambda rb: rb.messages.explain(MESSAGE), lambda rb: rb.messages.explain("x")),
    "Messages.explain_recipient": Call(
        lambda rb: rb.messages.explain_recipient("digest-1", "ann"),
        lambda rb: rb.messages.explain_recipient("digest-1", "ann", channel=""),
    ),
    "Activities.list": Call(lambda rb: rb.activities.list("ann"), lambda rb: rb.activities.list("ann", after="x")),
    "Deliveries.claim": Call(lambda rb: rb.deliveries.claim("mail"), lambda rb: rb.deliveries.claim("none")),
    "Deliveries.sent": Call(lambda rb: rb.deliveries.sent(MESSAGE), lambda rb: rb.deliveries.sent("x")),
    "Deliveries.sent, late": Call(lambda rb: rb.deliveries.sent(LOST), None),
    "Deliveries.delivered": Call(lambda rb: rb.deliveries.delivered(MESSAGE), lambda rb: rb.deliveries.delivered("x")),
    "Deliveries.delivered, late": Call(lambda rb: rb.deliveries.delivered(LOST), None),
    "Deliveries.failed": Call(
        lambda rb: rb.deliveries.failed(MESSAGE, "no"), lambda rb: rb.deliveries.failed(MESSAGE, "")
    ),
    "Deliveries.failed, late": Call(lambda rb: rb.deliveries.failed(LOST, "no"), None),
    "Deliveries.release": Call(lambda rb: rb.deliveries.release(MESSAGE), lambda rb: rb.deliveries.release("x")),
    "Deliveries.release, late": Call(lambda rb: rb.deliveries.release(LOST), None),
    "Deliveries.report": Call(
        lambda rb: rb.deliveries.report([DeliveryReport(id=MESSAGE, outcome="sent")]),
        lambda rb: rb.deliveries.report([]),
    ),
    "Deliveries.token_gone": Call(
        lambda rb: rb.deliveries.token_gone(DELIVERY, "t1"), lambda rb: rb.deliveries.token_gone(DELIVERY, "")
    ),
    "Deliveries.cancel": Call(lambda rb: rb.deliveries.cancel(MESSAGE), lambda rb: rb.deliveries.cancel("x")),
    "Deliveries.retry": Call(lambda rb: rb.deliveries.retry(MESSAGE), lambda rb: rb.deliveries.retry("x")),
    "Deliveries.get": Call(lambda rb: rb.deliveries.get(MESSAGE), lambda rb: rb.deliveries.get("x")),
    "Deliveries.list": Call(lambda rb: rb.deliveries.list(state="sent"), lambda rb: rb.deliveries.list()),
    "Deliveries.wait": Call(lambda rb: rb.deliveries.wait("mail", 0), lambda rb: rb.deliveries.wait("none")),
    "Deliveries.claim_each": Call(
        lambda rb: list(rb.deliveries.claim_each("mail", idle=0)), lambda rb: list(rb.deliveries.claim_each("none"))
    ),
    "Deliveries.attempt": Call(lambda rb: attempt(rb), None),
    "Jobs.get": Call(lambda rb: rb.jobs.get("a-job"), lambda rb: rb.jobs.get("")),
    "Jobs.wait": Call(lambda rb: rb.jobs.wait("a-job", timeout=0), lambda rb: rb.jobs.wait("", timeout=0)),
    "Jobs.list_deferred": Call(lambda rb: rb.jobs.list_deferred(), lambda rb: rb.jobs.list_deferred(after="x")),
    "Jobs.cancel": Call(lambda rb: rb.jobs.cancel("a-job", timeout=0), lambda rb: rb.jobs.cancel("")),
    "Jobs.list_dead_letters": Call(
        lambda rb: rb.jobs.list_dead_letters(), lambda rb: rb.jobs.list_dead_letters(after="x")
    ),
    "Jobs.get_dead_letter": Call(
        lambda rb: rb.jobs.get_dead_letter("a-dead-letter"), lambda rb: rb.jobs.get_dead_letter("")
    ),
    "Jobs.replay": Call(
        lambda rb: rb.jobs.replay("a-dead-letter", timeout=0), lambda rb: rb.jobs.replay("a-dead-letter", body="no job")
    ),
    "Jobs.count_dead_letters": Call(lambda rb: rb.jobs.count_dead_letters(), None),
    "Jobs.replay_dead_letters": Call(
        lambda rb: rb.jobs.replay_dead_letters("failed", timeout=0), lambda rb: rb.jobs.replay_dead_letters("")
    ),
    "Jobs.drop_dead_letters": Call(
        lambda rb: rb.jobs.drop_dead_letters("failed"), lambda rb: rb.jobs.drop_dead_letters("")
    ),
    "Measurements.list": Call(
        lambda rb: rb.measurements.list(),
        lambda rb: rb.measurements.list(since=datetime(2026, 1, 1)),  # noqa: DTZ001
    ),
    "Jobs.list": Call(lambda rb: rb.jobs.list(), lambda rb: rb.jobs.list(limit=0)),
    "Jobs.list, of a user": Call(lambda rb: rb.jobs.list(user_id="ann"), lambda rb: rb.jobs.list(user_id="")),
    "Jobs.drop": Call(lambda rb: rb.jobs.drop("a-dead-letter"), lambda rb: rb.jobs.drop("")),
    "JobHandle.status": Call(lambda rb: sent_by(rb).status(), None),
    "JobHandle.wait": Call(lambda rb: sent_by(rb).wait(timeout=0), lambda rb: sent_by(rb).wait(timeout=float("nan"))),
}


def attempt(rb: Rollbook) -> None:
    """Hand over a delivery."""
    with rb.deliveries.attempt(CLAIMED):
        pass


def sent_by(rb: Rollbook) -> JobHandle:
    """A job that was sent by a Rollbook, whatever has become of the broker since."""
    return replace(recording().users.delete("ann"), _jobs=rb.jobs)


class FakeDatabase:
    """A database without rows, but for the dead letters that it is made with."""

    def __init__(
        self, *dead_letters: Mapping[str, Any], failure: Exception | None = None, has_replay: bool = False
    ) -> None:
        self._dead_letters = dead_letters
        self._has_replay = has_replay
        self._failure = failure

    def run(self, query: Query[T]) -> T:
        if self._failure is not None:
            raise self._failure
        steps = query.steps()
        try:
            statement = next(steps)
            while True:
                statement = steps.send(self._rows(statement))
        except StopIteration as end:
            result: T = end.value
            return result

    def _rows(self, statement: Statement) -> Rows:
        if "SELECT id, digest, kind, code, reason, failed_at, trace_id, body" in statement.sql:
            return self._dead_letters
        if "SET replaying_until = now()" in statement.sql or "coalesce(replaying_until" in statement.sql:
            return [] if self._has_replay else self._dead_letters
        if "counts.*" in statement.sql:
            return [{"id": None, "total": 0, "unseen": 0, "unread": 0, "are_exact": True, "merged_into": None}]
        if "AS outcome" in statement.sql or "reported.outcome" in statement.sql:
            lost = f'"{LOST}"' in str(statement.parameters.get("reports"))
            return [{"id": UUID(LOST), "counts": False}] if lost else []
        if "AS matching" in statement.sql:
            return [{"matching": 0, "candidates": 0}]
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def situations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, Callable[[], Rollbook]]:
    """Every situation in which a valid call may fail."""
    registry = tmp_path / "registry.toml"
    registry.write_text('[channels.mail]\ntype = "email"\ndelivery = "claim"')

    def rollbook(database: FakeDatabase, *, broker_is_down: bool = False) -> Rollbook:
        publisher = RecordingPublisher()
        publisher.is_down = broker_is_down
        monkeypatch.setattr("rollbook.resources.context.open_database", lambda *_: database)
        return Rollbook(publisher=publisher, database_url="postgresql://of-the-test", registry=str(registry))

    return {
        "nothing is set": Rollbook,
        "no server answers": lambda: rollbook(FakeDatabase(failure=Unavailable("away")), broker_is_down=True),
        "Redis is down": lambda: rollbook(FakeDatabase(DEAD_LETTER), broker_is_down=True),
        "nothing is known": lambda: rollbook(FakeDatabase()),
        "one job has died": lambda: rollbook(FakeDatabase(DEAD_LETTER)),
        "one job is replayed": lambda: rollbook(FakeDatabase(DEAD_LETTER, has_replay=True)),
    }


@pytest.mark.parametrize("method", sorted({name.partition(",")[0] for name in CALLS}))
def test_every_call_names_the_errors_that_it_raises_and_no_others(
    method: str, situations: Mapping[str, Callable[[], Rollbook]]
) -> None:
    calls = [call for name, call in CALLS.items() if name.partition(",")[0] == method]
    good = {raised(call.good, made()) for made in situations.values() for call in calls}
    bad = {raised(call.bad, situations["one job has died"]()) for call in calls if call.bad}

    assert bad <= {"InvalidRequest"}
    assert named(documented(method)) == (good | bad) - {None}


def raised(call: Callable[[Rollbook], object], rb: Rollbook) -> str | None:
    try:
        call(rb)
    except RollbookError as error:
        return type(error).__name__
    return None


def documented(method: str) -> str:
    part, name = method.split(".")
    return inspect.getdoc(getattr(PARTS[part], name)) or ""


def named(text: str) -> set[str]:
    """The errors in the list that ends a docstring, as lines of `Name: when` or `Name, Name: when`."""
    lines = text.partition("\nRaises:\n")[2].splitlines()
    heads = [line.strip().partition(":")[0] for line in lines if re.match(r"    [A-Z]\w+(, \w+)*:", line)]
    return {name for head in heads for name in head.split(", ")}


def test_every_call_of_the_client_is_tried() -> None:
    tried = {name.partition(",")[0] for name in CALLS}
    public = [
        f"{part}.{name}"
        for part, class_ in PARTS.items()
        for name, _ in inspect.getmembers(class_, inspect.isfunction)
        if not name.startswith("_")
    ]

    assert tried == set(public)
