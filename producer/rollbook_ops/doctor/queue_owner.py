"""Checks that the queues in Redis belong to this database: otherwise two databases share the jobs."""

from __future__ import annotations

from rollbook.publishing.redis import BROKER_FAILURES
from rollbook_ops.doctor.redis import open_redis
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import RollbookError
from rollbook_shared.observability.findings import Finding, ok, problem
from rollbook_shared.queue_owner import describe_foreign_owner, find_owner
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

_NAME = "queue owner"
_ADVICE = "See docs/how-to/runbook.md, workers take no jobs."


def check_queue_owner(settings: Settings) -> Finding:
    """Compare the store id beside the queues with that of the database."""
    try:
        store_id = read_store_id(settings.need_database_url(), settings.schema)
        with open_redis(settings.need_broker_url()) as client:
            owner = find_owner(client)
    except RollbookError as error:
        return problem(_NAME, str(error), "Run `rollbook migrate`, and deploy/roles.sql after it.")
    except BROKER_FAILURES as error:
        return problem(_NAME, f"could not be read: {safe_reason(error)}", "Check Redis first.")
    if owner is None:
        return ok(_NAME, "none yet; the first worker notes this database")
    if owner == store_id:
        return ok(_NAME, "this database")
    summary, _, advice = describe_foreign_owner(owner, store_id).partition("; ")
    return problem(_NAME, f"{summary}: workers take no jobs", f"{advice[0].upper()}{advice[1:]}. {_ADVICE}")
