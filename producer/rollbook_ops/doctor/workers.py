"""Asks the workers whether they are there, and which queues they take jobs from."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.retry import Retry

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_ops.doctor.findings import Finding, many, ok, problem, warning
from rollbook_shared.broker_url import for_kombu, is_sentinel
from rollbook_shared.install_hint import install_hint
from rollbook_shared.jobs.routing import QUEUES

_WAIT_SECONDS: Final = 1.0
"""How long answers are waited for; a worker that is well answers in milliseconds."""


def check_workers(broker_url: str) -> Finding:
    """Whether each queue has a worker that answers."""
    if importlib.util.find_spec("celery") is None:
        advice = f"Run the doctor where a worker runs, or install what it needs: {install_hint('worker')}"
        return warning("workers", "not asked: Celery, which asks them, is not installed here", advice)
    from celery import Celery
    from kombu.exceptions import KombuError

    url, options = for_kombu(broker_url)
    timeouts: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
    with Celery(set_as_current=False, fixups=set()) as app:
        # Not `broker_url`: an application's CELERY_BROKER_URL would override it.
        app.conf.broker_read_url = app.conf.broker_write_url = url if is_sentinel(url) else url.partition(";")[0]
        app.conf.broker_transport_options = {
            **timeouts,
            "sentinel_kwargs": {**timeouts, "retry": Retry(NoBackoff(), 0)},
            **options,
        }
        try:
            replies = app.control.broadcast("active_queues", reply=True, timeout=_WAIT_SECONDS)
        except (KombuError, *BROKER_FAILURES) as error:
            return problem("workers", f"could not be asked ({type(error).__name__})", "Look at Redis first.")
    return judge(replies or ())


def judge(replies: Iterable[Mapping[str, Any]]) -> Finding:
    """What the answers say: each maps the worker's name to its queues."""
    takers = dict.fromkeys(QUEUES, 0)
    for reply in replies:
        for queues in reply.values():
            for name in {queue["name"] for queue in queues if isinstance(queue, dict)} & takers.keys():
                takers[name] += 1
    said = ", ".join(f"{many(count, 'worker')} on {name}" for name, count in takers.items())
    if deserted := [name for name, count in takers.items() if not count]:
        commands = " and ".join(f"`celery -A rollbook_worker.app worker -Q {name}`" for name in deserted)
        return problem("workers", f"{said} answered", f"Start {commands}; if one runs, it hangs: restart it.")
    return ok("workers", f"{said} answered")
