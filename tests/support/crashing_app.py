"""For `celery worker --include tests.support.crashing_app`: a job whose id begins with `deadly` ends its process."""

from __future__ import annotations

import os
import signal

from tests.support.failing_store import stumble_over

# as a fault in a C library would, it leaves no time for anything
stumble_over("deadly", lambda: os.kill(os.getpid(), signal.SIGKILL))
