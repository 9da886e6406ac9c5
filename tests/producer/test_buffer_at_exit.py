"""A buffered client sends what it holds at an ordinary exit, of a child too, whatever started the child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from tests.support.brokers import connect_to_broker
from tests.support.producer.bulk_queue import queued_users
from tests.support.python_processes import spawn_python
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_ops.devstack import processes

CLIENT = """
import sys
import rollbook
rb = rollbook.Rollbook(broker_url=sys.argv[1]).buffered(max_seconds=3600)
def identify(number):
    rb.users.identify(f"u{number}")
"""

CHILDREN = {
    "multiprocessing": """
import multiprocessing
context = multiprocessing.get_context("fork")
children = [context.Process(target=identify, args=(number,)) for number in range(5)]
for child in children:
    child.start()
for child in children:
    child.join()
""",
    "ProcessPoolExecutor": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
    list(executor.map(identify, range(5)))
""",
    "Pool": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
    pool.map(identify, range(5), chunksize=1)
    pool.close()
    pool.join()
""",
    "billiard": """
import billiard
children = [billiard.Process(target=identify, args=(number,)) for number in range(5)]
for child in children:
    child.start()
for child in children:
    child.join()
""",
    "os.fork": """
import os
for number in range(5):
    if os.fork() == 0:
        identify(number)
        sys.exit()
    os.wait()
""",
    "a child that imports multiprocessing itself": """
import multiprocessing, os
if os.fork() == 0:
    identify(0)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=identify, args=(number,)) for number in range(1, 5)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit()
os.wait()
""",
}


@pytest.fixture(autouse=True)
def _empty_queues(broker_url: str) -> None:
    with connect_to_broker(broker_url) as client:
        client.flushdb()


def run(program: str, broker_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, broker_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        *((kind, "") for kind in CHILDREN),
        *((kind, 'identify("-parent")\n') for kind in ("multiprocessing", "billiard")),
    ],
    ids=[*CHILDREN, "multiprocessing, used before", "billiard, used before"],
)
def test_children_that_return_send_what_they_hold(broker_url: str, kind: str, parent: str) -> None:
    done = run(CLIENT + parent + CHILDREN[kind], broker_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert queued_users(broker_url) == ["u-parent"] * bool(parent) + [f"u{number}" for number in range(5)]


AT_THE_END = """
import multiprocessing, threading
from multiprocessing import util

def child():
    util.Finalize(None, identify, args=("-finalizer",), exitpriority=1)
    identify("-child")
    started = threading.Event()
    main = threading.current_thread()
    def late():
        started.set()
        main.join()  # the main thread ends after the finalizers
        identify("-thread")
    threading.Thread(target=late).start()
    started.wait()

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
identify("-main")
"""

BEFORE = """
import atexit
atexit.register(lambda: identify("-atexit"))
"""


def test_users_that_are_identified_at_the_exit_itself_are_sent(broker_url: str) -> None:
    done = run(BEFORE + CLIENT + AT_THE_END, broker_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert queued_users(broker_url) == ["u-atexit", "u-child", "u-finalizer", "u-main", "u-thread"]


def test_a_child_that_cannot_send_says_so() -> None:
    done = run(CLIENT + CHILDREN["multiprocessing"], "redis://127.0.0.1:1/0")

    assert done.stderr.count("1 buffered users were not sent") == 5


APPLICATION = """
import os, rollbook
from celery import Celery
app = Celery("own", broker=os.environ["BROKER"])
app.conf.update(task_default_queue="own", broker_connection_retry_on_startup=True)
rb = rollbook.Rollbook(broker_url=os.environ["BROKER"]).buffered(max_seconds=3600)

@app.task(name="own.identify")
def identify(number):
    rb.users.identify(f"u{number:02}")
"""


def with_folder(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def application(broker_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of an application, whose processes end after four tasks each."""
    (tmp_path / "own_application.py").write_text(APPLICATION)
    worker = spawn_python(
        [
            *("-m", "celery", "-A", "own_application", "worker", "--pool", "prefork", "--concurrency", "2"),
            *("--max-tasks-per-child", "4", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        ],
        log=tmp_path / "own.log",
        env=os.environ | {"BROKER": broker_url, "PYTHONPATH": with_folder(tmp_path)},
    )
    yield worker
    processes.stop(worker, by=signal.SIGKILL)


def test_processes_of_a_celery_worker_send_what_they_hold(
    broker_url: str, application: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    sender = Celery(broker=broker_url, set_as_current=False)
    for number in range(18):
        sender.send_task("own.identify", [number], queue="own")

    wait_until(lambda: (tmp_path / "own.log").read_text().count("succeeded") == 18, what="running all tasks")
    assert processes.stop(application, grace=DEADLINE_SECONDS) == 0

    assert queued_users(broker_url) == [f"u{number:02}" for number in range(18)]
