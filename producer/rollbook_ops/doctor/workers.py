"""Asks the workers which queues they consume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.retry import Retry

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_ops.formatting import format_count
from rollbook_shared.broker_url import for_kombu, is_sentinel
from rollbook_shared.errors import NotConfigured
from rollbook_shared.install_hint import require_extra
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_shared.observability.findings import Finding, ok, problem, warning

_REPLY_SECONDS: Final = 1.0
"""How long to wait for replies. A healthy worker replies in milliseconds."""


def check_workers(broker_url: str) -> Finding:
    """Check that each queue has a worker that replies."""
    try:
        require_extra("asking the workers", "worker", "celery")
    except NotConfigured as error:
        return warning("workers", f"not asked: {error}", "Or run the doctor where a worker runs.")
    from celery import Celery
    from kombu.exceptions import KombuError

    url, options = for_kombu(broker_url)
    timeouts: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
    with Celery(set_as_current=False, fixups=set()) as app:
        # Not `broker_url`: an application's CELERY_BROKER_URL would override that.
        app.conf.broker_read_url = app.conf.broker_write_url = url if is_sentinel(url) else url.partition(";")[0]
        app.conf.broker_transport_options = {
            **timeouts,
            "sentinel_kwargs": {**timeouts, "retry": Retry(NoBackoff(), 0)},
            **options,
        }
        try:
            replies = app.control.broadcast("active_queues", reply=True, timeout=_REPLY_SECONDS)
        except (KombuError, *BROKER_FAILURES) as error:
            return problem("workers", f"could not be asked ({type(error).__name__})", "Check Redis first.")
    return check_replies(replies or ())


def check_replies(replies: Iterable[Mapping[str, Any]]) -> Finding:
    """Check the replies: each maps a worker's name to its queues."""
    consumers = dict.fromkeys(QUEUES, 0)
    for reply in replies:
        for queues in reply.values():
            for name in {queue["name"] for queue in queues if isinstance(queue, dict)} & consumers.keys():
                consumers[name] += 1
    workers = ", ".join(f"{format_count(count, 'worker')} on {name}" for name, count in consumers.items())
    if without_workers := [name for name, count in consumers.items() if not count]:
        commands = " and ".join(f"`rollbook worker -Q {name}`" for name in without_workers)
        return problem("workers", f"{workers} replied", f"Start {commands}. If one is running, it hangs: restart it.")
    return ok("workers", f"{workers} replied")
