"""Publishers: how jobs leave the application's process.

| module | where a job is when `publish` returns |
| --- | --- |
| `direct` | in Redis |
| `buffered` | in memory, and within a second in Redis, as part of a bulk job |
| `outbox` | in the application's own transaction; the relay sends it after the commit |
| `after_commit` | in memory until the application's transaction is committed |

The modules named `async_` do the same in coroutines.
"""

from typing import TYPE_CHECKING

from rollbook.publishing.publisher import (
    AsyncEncodedPublisher,
    AsyncPublisher,
    EncodedPublisher,
    Publisher,
    async_publish_encoded,
    publish_encoded,
)
from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook_shared.jobs.celery_task import EncodedJob
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook_shared.jobs.celery_task": "EncodedJob",
        },
    )

__all__ = [
    "AsyncEncodedPublisher",
    "AsyncPublisher",
    "EncodedJob",
    "EncodedPublisher",
    "Publisher",
    "async_publish_encoded",
    "publish_encoded",
]
