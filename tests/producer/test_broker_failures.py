"""A write never hangs: if Redis is missing, frozen or restarted it fails with the job id within seconds, or arrives."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.event_loops import CLIENTS, open_client
from tests.support.waits import wait_until

from rollbook import NotSent, Rollbook
from rollbook_ops.devstack import Servers

SECONDS = 7.0
"""Longer than every bound together, on a machine that has other things to do."""


@pytest.fixture
def rb(broker_url: str) -> Iterator[Rollbook]:
    with Rollbook(broker_url=broker_url) as rb:
        yield rb


@contextmanager
def frozen(url: str) -> Iterator[None]:
    with connect_to_broker(url) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def not_sent_in_time(send: Callable[[], object]) -> NotSent:
    begin = time.monotonic()
    with pytest.raises(NotSent) as failure:
        send()
    assert time.monotonic() - begin < SECONDS
    return failure.value


def test_a_missing_broker_raises_not_sent_with_the_job_id() -> None:
    with Rollbook(broker_url="redis://127.0.0.1:1/0") as rb:
        failure = not_sent_in_time(lambda: rb.users.delete("u1", job_id="j1"))

    assert failure.job_id == "j1"
    assert "j1" in str(failure)


def test_not_sent_has_a_job_id_even_if_none_was_given() -> None:
    with Rollbook(broker_url="redis://127.0.0.1:1/0") as rb:
        assert not_sent_in_time(lambda: rb.users.delete("u1")).job_id


def test_a_job_is_sent_to_a_real_server(rb: Rollbook, broker_url: str) -> None:
    rb.users.delete("u1")

    with connect_to_broker(broker_url) as client:
        assert client.llen("default") == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_cut_connection_is_replaced(broker_url: str, kind: str) -> None:
    with open_client(kind, broker_url=broker_url) as rb, connect_to_broker(broker_url) as client:
        rb.users.delete("u1")
        mine = client.client_id()
        for other in client.client_list():
            if int(other["id"]) != mine:
                client.client_kill_filter(_id=other["id"])

        rb.users.delete("u2")


def test_a_late_reply_is_not_taken_for_that_of_the_next_job(
    rb: Rollbook, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rb.users.delete("u1")
    with connect_to_broker(broker_url) as client:
        interrupted = _only_pushing(client)
        waiting = client.llen("default")
        with monkeypatch.context() as patch:
            patch.setattr(redis.connection.Connection, "read_response", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                rb.users.delete("u2")
        wait_until(lambda: client.llen("default") == waiting + 1, what="the interrupted job")

        rb.users.delete("u3")
        assert client.llen("default") == waiting + 2
        assert _only_pushing(client) != interrupted


def _only_pushing(client: redis.Redis) -> str:
    """The id of the only connection whose last command was to push. Redis notices a little later what was closed."""
    wait_until(lambda: len(_pushing(client)) == 1, what="one connection that pushes")
    return _pushing(client)[0]


def _pushing(client: redis.Redis) -> list[str]:
    return [other["id"] for other in client.client_list() if other["cmd"] == "lpush"]


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_threads_in_turn_share_one_connection(rb: Rollbook, broker_url: str) -> None:
    for _ in range(20):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(rb.users.delete, "u1").result()

    with connect_to_broker(broker_url) as client:
        assert _only_pushing(client)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLIENTS)
def test_a_frozen_broker_raises_not_sent_and_is_used_again_later(own_servers: Servers, kind: str) -> None:
    with open_client(kind, broker_url=own_servers.broker_url) as rb:
        rb.users.delete("warm")
        with frozen(own_servers.broker_url):
            not_sent_in_time(lambda: rb.users.delete("u1"))

        rb.users.delete("u2")


@pytest.mark.slow
def test_threads_do_not_wait_for_each_other_on_a_frozen_broker(own_servers: Servers) -> None:
    with (
        Rollbook(broker_url=own_servers.broker_url) as rb,
        frozen(own_servers.broker_url),
        ThreadPoolExecutor(50) as threads,
    ):
        sends = [threads.submit(not_sent_in_time, lambda: rb.users.delete("u1")) for _ in range(50)]

        assert all(send.result().job_id for send in sends)


def test_a_close_in_one_thread_loses_no_job_of_another(rb: Rollbook, broker_url: str) -> None:
    def send(thread: int) -> list[str]:
        return [rb.users.delete("u1", job_id=f"{thread}-{number}").id for number in range(200)]

    with connect_to_broker(broker_url) as client, ThreadPoolExecutor(4) as threads:
        client.flushdb()
        sending = [threads.submit(send, thread) for thread in range(4)]
        while not all(each.done() for each in sending):
            rb.close()

        sent = {id_ for each in sending for id_ in each.result()}
        assert len(sent) == 800
        assert client.llen("default") >= 800


def test_a_forked_child_has_its_own_connections(rb: Rollbook, broker_url: str) -> None:
    with connect_to_broker(broker_url) as client:
        rb.users.delete("u1")
        before = client.llen("default")
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=_send_many, args=(rb,)) for _ in range(2)]

        for child in children:
            child.start()
        _send_many(rb)
        for child in children:
            child.join()

        assert [child.exitcode for child in children] == [0, 0]
        assert client.llen("default") == before + 3 * 50


def _send_many(rb: Rollbook) -> None:
    for number in range(50):
        rb.users.delete(f"u{number}")
