"""The client needs no Celery: it works where Celery cannot be imported, and beside any version of an application's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import redis
from tests.support.virtualenvs import FreshVirtualenv, environment

ROOT: Final = Path(__file__).parents[2]

WITHOUT_CELERY = """
import importlib.abc, pkgutil, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"celery", "kombu", "billiard", "vine", "amqp"}:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import rollbook
for module in pkgutil.walk_packages(rollbook.__path__, "rollbook."):
    __import__(module.name)
with rollbook.Rollbook(broker_url=sys.argv[1]) as rb:
    print(rb.users.identify("ann", {"plan": "pro"}).id)
    with rb.buffered() as buffered:
        print(buffered.users.identify("ann", {"plan": "free"}).id)
"""

SIGNALS_LATER = """
import sys
import rollbook
rb = rollbook.Rollbook(broker_url=sys.argv[1])
rb.users.delete("ann")
assert "celery.signals" not in sys.modules
from celery import signals

@signals.before_task_publish.connect
def before(headers, **_):
    print("before", headers["id"])

@signals.after_task_publish.connect
def after(headers, **_):
    print("after", headers["id"])

rb.users.delete("ann", job_id="j2")
"""

BASE_INSTALL = """
import importlib.util, sys
import rollbook
assert not any(map(importlib.util.find_spec, ("celery", "kombu", "sqlalchemy", "psycopg", "typer")))
with rollbook.Rollbook(broker_url=sys.argv[1]) as rb:
    rb.users.identify("ann", {"plan": "pro"}, job_id="j1")
"""

BESIDE_CELERY = """
import json, sys
import rollbook
broker_url = sys.argv[1]
with rollbook.Rollbook(broker_url=broker_url) as rb:
    rb.users.identify("ann", {"plan": "pro"}, job_id="j1")
assert not {"celery", "kombu"} & sys.modules.keys()
from celery import Celery
app = Celery("own", broker=broker_url)
app.send_task("own.task", queue="own")
with app.connection_for_read() as connection:
    queue = connection.SimpleQueue("default")
    message = queue.get(timeout=10)
    (body,), kwargs, _ = message.decode()
    message.ack()
import celery, kombu
versions = [celery.__version__, kombu.__version__]
print(json.dumps({"task": message.headers["task"], "job": json.loads(body)["id"], "versions": versions}))
"""


def waiting(broker_url: str, queue: str) -> list[str]:
    """The ids of the jobs in the queue, oldest first."""
    with redis.Redis.from_url(broker_url) as client:
        items: list[bytes] = client.lrange(queue, 0, -1)
    return [json.loads(item)["headers"]["id"] for item in reversed(items)]


def run(python: str | Path, script: str, broker_url: str) -> str:
    with redis.Redis.from_url(broker_url) as client:
        client.flushdb()
    done = subprocess.run([python, "-c", script, broker_url], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_jobs_are_sent_where_celery_and_kombu_cannot_be_imported(broker_url: str) -> None:
    single, bulk = run(sys.executable, WITHOUT_CELERY, broker_url).split()

    assert waiting(broker_url, "default") == [single]
    assert waiting(broker_url, "bulk") == [bulk]


def test_signals_are_sent_once_the_application_imports_celery(broker_url: str) -> None:
    assert run(sys.executable, SIGNALS_LATER, broker_url).splitlines() == ["before j2", "after j2"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_base_install_brings_no_celery_and_sends_with_the_oldest_redis_py(
    wheel: Path, tmp_path: Path, broker_url: str
) -> None:
    virtualenv = FreshVirtualenv(tmp_path / "venv")
    oldest = "redis==5.0.*"
    if (alone := virtualenv.install(oldest)).returncode != 0:
        pytest.skip(f"redis-py cannot be installed, is there a package index? {alone.stderr[-300:]}")

    installed = virtualenv.install(oldest, wheel)

    assert installed.returncode == 0, installed.stderr
    run(virtualenv.python, BASE_INSTALL, broker_url)
    assert waiting(broker_url, "default") == ["j1"]


@pytest.mark.slow
@pytest.mark.parametrize("series", ["5.4", "5.5", "5.6"])
def test_the_installed_wheel_sends_beside_an_applications_celery(
    series: str, wheel: Path, tmp_path: Path, broker_url: str
) -> None:
    virtualenv = FreshVirtualenv(tmp_path / "venv")
    # a kombu of its time: those of Celery 5.4 do not bring what the newest kombu needs
    celery = (f"celery[redis]=={series}.*", f"kombu[redis]=={series}.*")
    application = virtualenv.install(*celery)
    if application.returncode != 0:
        pytest.skip(f"Celery {series} cannot be installed, is there a package index? {application.stderr[-300:]}")

    installed = virtualenv.install(*celery, wheel)

    assert installed.returncode == 0, installed.stderr
    sent = json.loads(run(virtualenv.python, BESIDE_CELERY, broker_url))
    assert (sent["task"], sent["job"]) == ("rollbook.identify", "j1")
    assert [version[:4] for version in sent["versions"]] == [f"{series}.", f"{series}."]
    assert len(waiting(broker_url, "own")) == 1
    assert waiting(broker_url, "default") == []
