"""Both clients have the same calls, with the same parameters, defaults and documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from rollbook import AsyncJobHandle, AsyncRollbook, JobHandle, Rollbook
from rollbook.async_client import AsyncBufferedRollbook
from rollbook.client import BufferedRollbook
from rollbook.resources.activities import Activities
from rollbook.resources.async_jobs import AsyncJobs
from rollbook.resources.async_resources import (
    AsyncActivities,
    AsyncFeeds,
    AsyncMeasurements,
    AsyncMessages,
    AsyncUsers,
    AsyncWorkflows,
)
from rollbook.resources.feeds import Feeds
from rollbook.resources.jobs import Jobs
from rollbook.resources.measurements import Measurements
from rollbook.resources.messages import Messages
from rollbook.resources.users import Users
from rollbook.resources.workflows import Workflows

PAIRS: list[tuple[type, type]] = [
    (Users, AsyncUsers),
    (Workflows, AsyncWorkflows),
    (Feeds, AsyncFeeds),
    (Messages, AsyncMessages),
    (Activities, AsyncActivities),
    (Jobs, AsyncJobs),
    (Measurements, AsyncMeasurements),
    (JobHandle, AsyncJobHandle),
    (Rollbook, AsyncRollbook),
    (BufferedRollbook, AsyncBufferedRollbook),
]
NAMES = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
SYNCHRONOUS = {"from_env", "with_publisher", "outbox", "buffered"}
"""What connects to nothing is not awaited."""
WRITTEN_TWICE = {"all", "wait", "cancel", "replay", "replay_dead_letters", "status"}
"""Methods that do something with the result of a call; their docstrings may differ."""


def methods(owner: type) -> dict[str, Callable[..., Any]]:
    names = [name for name in dir(owner) if not name.startswith("_") or name in ("__init__", *NAMES, *NAMES.values())]
    return {name: each for name in names if callable(each := getattr(owner, name))}


CALLS = [
    (blocking, asynchronous, name)
    for blocking, asynchronous in PAIRS
    for name in methods(blocking)
    # an application makes the client only
    if name != "__init__" or blocking is Rollbook
]


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS)
def test_both_clients_have_the_same_calls(blocking: type, asynchronous: type) -> None:
    assert {NAMES.get(name, name) for name in methods(blocking)} == methods(asynchronous).keys()


@pytest.mark.parametrize(("blocking", "asynchronous", "name"), CALLS)
def test_a_call_has_the_same_parameters_in_both_clients(blocking: type, asynchronous: type, name: str) -> None:
    theirs = inspect.signature(methods(blocking)[name])
    ours = inspect.signature(methods(asynchronous)[NAMES.get(name, name)])

    assert [without_types(parameter) for parameter in ours.parameters.values()] == [
        without_types(parameter) for parameter in theirs.parameters.values()
    ]
    assert as_blocking(ours.return_annotation) == str(theirs.return_annotation)
    for parameter in ours.parameters.values():
        assert as_blocking(parameter.annotation) == str(theirs.parameters[parameter.name].annotation)


def without_types(parameter: inspect.Parameter) -> tuple[str, object, object]:
    return parameter.name, parameter.kind, parameter.default


def as_blocking(annotation: object) -> str:
    return str(annotation).replace("Async", "")


RESOURCE_CALLS = [
    (asynchronous, blocking, name)
    for blocking, asynchronous in PAIRS[:8]
    for name in methods(blocking)
    if name != "__init__"
]


@pytest.mark.parametrize(("asynchronous", "blocking", "name"), RESOURCE_CALLS)
def test_a_call_is_a_coroutine_function_with_the_docstring_of_the_other_client(
    asynchronous: type, blocking: type, name: str
) -> None:
    method = getattr(asynchronous, name)

    assert inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    if name not in WRITTEN_TWICE:
        assert method.__doc__ == getattr(blocking, name).__doc__


def test_what_connects_is_awaited() -> None:
    for name, method in methods(AsyncRollbook).items():
        assert inspect.iscoroutinefunction(method) == (name not in SYNCHRONOUS | {"__init__"}), name
