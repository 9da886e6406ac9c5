"""What is in Redis after a write, and that the Celery of the application is not touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import fakeredis
import pytest

from rollbook import NotConfigured, Rollbook
from rollbook_shared.broker_url import BrokerEndpoint
from rollbook_shared.jobs.celery_task import BULK_QUEUE, DEFAULT_QUEUE, alias
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import Identify, Job, UserUpdate


@pytest.fixture
def redis_server(monkeypatch: pytest.MonkeyPatch) -> fakeredis.FakeRedis:
    client = fakeredis.FakeRedis()
    monkeypatch.setattr(BrokerEndpoint, "connect", lambda self, **_: client.connection_pool.get_connection())
    return client


@pytest.fixture
def rb(redis_server: fakeredis.FakeRedis) -> Iterator[Rollbook]:
    with Rollbook(broker_url="redis://127.0.0.1:1/0") as rb:
        yield rb


def messages(server: fakeredis.FakeRedis, queue: str) -> list[dict[str, Any]]:
    return [json.loads(item) for item in reversed(cast("list[bytes]", server.lrange(queue, 0, -1)))]


def job_in(message: dict[str, Any]) -> Job:
    args, kwargs, _ = json.loads(message["body"])
    assert kwargs == {}
    (text,) = args
    return decode(text)


def test_a_job_is_a_celery_task_of_its_kind(rb: Rollbook, redis_server: fakeredis.FakeRedis) -> None:
    job = rb.users.identify("u1", {"email": "ann@example.com", "address": {"__type__": "date"}}, job_id="j1")

    (message,) = messages(redis_server, DEFAULT_QUEUE)
    headers = message["headers"]
    assert (headers["task"], headers["id"], headers["root_id"]) == ("rollbook.identify", "j1", "j1")
    assert message["properties"]["correlation_id"] == job.id == "j1"
    assert message["properties"]["delivery_info"] == {"exchange": "", "routing_key": "default"}
    assert message["content-type"] == "application/json"
    assert headers["ignore_result"] is True
    assert job_in(message) == Identify(
        id="j1",
        occurred_at=job_in(message).occurred_at,
        user=UserUpdate(id="u1", traits={"email": "ann@example.com", "address": {"__type__": "date"}}),
    )


def test_monitors_show_no_values(rb: Rollbook, redis_server: fakeredis.FakeRedis) -> None:
    rb.users.identify("ann@example.com", {"email": "ann@example.com", "plan": "SECRET"})

    (message,) = messages(redis_server, DEFAULT_QUEUE)
    shown = json.dumps({**message, "body": ""})
    assert message["headers"]["argsrepr"] == f"{alias('ann@example.com')} {{email, plan}}"
    assert message["headers"]["kwargsrepr"] == ""
    assert "ann@example.com" not in shown
    assert "SECRET" not in shown


@pytest.mark.parametrize(
    ("call", "queue", "task"),
    [
        (lambda rb: rb.users.bulk_identify([{"id": "u1"}]), BULK_QUEUE, "rollbook.bulk_identify"),
        (lambda rb: rb.users.bulk_delete(["u1"]), BULK_QUEUE, "rollbook.bulk_delete"),
        (lambda rb: rb.users.bulk_set_preferences(["u1"], "default", {}), BULK_QUEUE, "rollbook.bulk_set_preferences"),
        (lambda rb: rb.users.delete("u1"), DEFAULT_QUEUE, "rollbook.delete"),
        (lambda rb: rb.users.merge("u1", "u2"), DEFAULT_QUEUE, "rollbook.merge"),
        (lambda rb: rb.workflows.trigger("w", ["u1"]), DEFAULT_QUEUE, "rollbook.trigger"),
    ],
)
def test_bulk_jobs_have_their_own_queue(
    rb: Rollbook, redis_server: fakeredis.FakeRedis, call: Callable[[Rollbook], object], queue: str, task: str
) -> None:
    call(rb)

    (message,) = messages(redis_server, queue)
    assert message["headers"]["task"] == task


def test_jobs_of_a_thread_keep_their_order(rb: Rollbook, redis_server: fakeredis.FakeRedis) -> None:
    ids = [rb.users.delete(f"u{number}").id for number in range(20)]

    assert [message["headers"]["id"] for message in messages(redis_server, DEFAULT_QUEUE)] == ids


def test_threads_can_share_a_publisher(rb: Rollbook, redis_server: fakeredis.FakeRedis) -> None:
    with ThreadPoolExecutor(32) as threads:
        ids = list(threads.map(lambda number: rb.users.delete(f"u{number}").id, range(200)))

    assert sorted(message["headers"]["id"] for message in messages(redis_server, DEFAULT_QUEUE)) == sorted(ids)


def test_a_closed_publisher_can_send_again(rb: Rollbook, redis_server: fakeredis.FakeRedis) -> None:
    rb.users.delete("u1")
    rb.close()

    rb.users.delete("u2")

    assert len(messages(redis_server, DEFAULT_QUEUE)) == 2


def test_a_write_without_a_broker_names_the_setting() -> None:
    rb = Rollbook.from_env({})

    with pytest.raises(NotConfigured, match="ROLLBOOK_BROKER_URL"):
        rb.users.delete("u1")


@pytest.mark.parametrize("url", ["rediss", "amqp://127.0.0.1", "carrier-pigeon://coop", "redis://host:port/0"])
def test_an_unusable_broker_url_is_rejected_at_the_start(url: str) -> None:
    with pytest.raises(NotConfigured, match="redis://"):
        Rollbook(broker_url=url)


NEIGHBOURS = """
import fakeredis, json, sys
from rollbook_shared.broker_url import BrokerEndpoint
client = fakeredis.FakeRedis()
BrokerEndpoint.connect = lambda self, **_: client.connection_pool.get_connection()
import rollbook
rb = rollbook.Rollbook(broker_url="redis://127.0.0.1:1/0")
rb.users.delete("u1")
assert not {"celery", "kombu", "billiard", "vine", "amqp"} & sys.modules.keys()
from kombu import pools
from celery import Celery, _state
rb.users.delete("u1")
assert _state.default_app is None, _state.default_app
assert _state._tls.current_app is None
assert pools.connections == {} and pools.get_limit() == 10
own = Celery("own", broker="memory://")
@own.task
def hello(): pass
rb.users.delete("u2")
assert _state.get_current_app() is own
assert "rollbook.delete" not in own.tasks
print(client.llen("default"))
"""


def test_the_celery_of_the_application_is_not_touched(tmp_path: Any) -> None:
    theirs = {
        "CELERY_BROKER_URL": "amqp://nowhere.invalid",
        "CELERY_RESULT_BACKEND": "nonsense://",
        "CELERY_CONFIG_MODULE": "no_such_module",
        "CELERY_LOADER": "no.such.loader:Loader",
        "DJANGO_SETTINGS_MODULE": "no_such_settings",
    }
    script = NEIGHBOURS.replace(
        "own = Celery(", "import os\nfor name in " + repr(list(theirs)) + ": del os.environ[name]\nown = Celery("
    )

    done = subprocess.run([sys.executable, "-c", script], env=theirs, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout == "3\n"


def test_importing_and_recording_need_neither_celery_nor_sqlalchemy() -> None:
    script = (
        "import sys; sys.modules['celery'] = sys.modules['sqlalchemy'] = sys.modules['pytest'] = None;"
        "import rollbook.testing; rb = rollbook.testing.recording(); rb.users.delete('u1'); print(len(rb.sent))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "1\n"


def test_a_read_without_the_extra_names_it() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None; import rollbook\n"
        "try: rollbook.Rollbook(database_url='postgresql:///x').users.get('u1')\n"
        "except rollbook.NotConfigured as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[read]" in done.stdout
