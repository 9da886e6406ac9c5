"""For `celery worker --include tests.support.crashing_app`: a job whose id begins with `crashing` ends its process."""

from __future__ import annotations

import os
import signal

from tests.support.failing_store import fail_on_jobs

# as a fault in a C library does: no handler runs
fail_on_jobs("crashing", lambda: os.kill(os.getpid(), signal.SIGKILL))
