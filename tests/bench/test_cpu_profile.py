"""How `benchmarks.cpu_profile` divides the processor time of a process."""

from __future__ import annotations

from benchmarks.cpu_profile import MAIN, OTHER, OTHERS, count_samples, divide

LOOP = "<module> (/app/.venv/celery/__main__.py:19);asynloop (/app/.venv/celery/worker/loops.py:96)"
THREAD = "Thread._bootstrap (/lib/threading.py:1002);_worker (/lib/concurrent/futures/thread.py:83)"
STACKS = [
    f"{LOOP};loads (/lib/json/__init__.py:346) 3",
    f"{LOOP};work (/app/worker/rollbook_worker/celery_ext/transport/channel.py:1);b64decode (/lib/base64.py:87) 6",
    f"{LOOP};poll (/app/.venv/kombu/utils/eventio.py:1) 100",
    f"{THREAD};apply (/app/worker/rollbook_worker/store/postgres.py:1);execute (/app/.venv/psycopg/cursor.py:1) 1",
    f"{THREAD};apply (/app/worker/rollbook_worker/store/postgres.py:1) 4",
    f"{THREAD};apply (/app/worker/rollbook_worker/store/postgres.py:1);Connection.wait (/app/.venv/psycopg/c.py:1) 50",
    "Thread._bootstrap (/lib/threading.py:1002);_worker (/lib/concurrent/futures/thread.py:81) 100",
    "main (/app/script.py:1) 1",
]


def test_a_stack_counts_for_the_innermost_component_and_not_while_it_waits() -> None:
    assert count_samples(STACKS) == {
        MAIN: {"Celery": 3, "our transport": 6, OTHER: 1},
        OTHERS: {"psycopg": 1, "our store": 4},
    }


def test_the_parts_add_up_to_the_whole() -> None:
    parts = divide({MAIN: 50.0, OTHERS: 20.0}, count_samples(STACKS))

    assert parts == {
        MAIN: {"our transport": 30.0, "Celery": 15.0, OTHER: 5.0},
        OTHERS: {"our store": 16.0, "psycopg": 4.0},
    }
    assert [sum(each.values()) for each in parts.values()] == [50.0, 20.0]
