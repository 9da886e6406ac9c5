"""Make the picture of Flower in the documentation: `python -m tests.dashboard.screenshot`.

It starts what `rollbook up` starts, sends jobs about invented users, and takes a picture of the page of tasks.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from tests.support.dashboard.browser import Tasks, browser
from tests.support.dashboard.sample_jobs import LOCK_TIMEOUT_SECONDS, LockedUsers, send_dead_letters, send_sample_jobs
from tests.support.repository import ROOT
from tests.support.waits import wait_until

from rollbook import Rollbook
from rollbook_ops.devstack.stack import LocalStack

PICTURE: Final = ROOT / "docs" / "pictures" / "flower.png"
_SIZE: Final = {"width": 1560, "height": 737}
_HIDDEN: Final = "footer, .page-header, .dt-footer { display: none !important }"


def main() -> int:
    os.environ["ROLLBOOK_LOCK_TIMEOUT_SECONDS"] = str(LOCK_TIMEOUT_SECONDS)
    with (
        LocalStack(report=print) as stack,
        Rollbook(database_url=stack.database_url, broker_url=stack.broker_url) as rb,
    ):
        send_sample_jobs(rb)
        send_dead_letters(rb, stack.broker_url)
        with LockedUsers(stack.database_url):
            rb.users.identify("ann", {"plan": "team", "seats": 12}, job_id="upgrade-1")
            take_picture(stack)
    print(f"{PICTURE.stat().st_size / 1024:.0f} kB: {PICTURE}")
    return 0


def take_picture(stack: LocalStack) -> None:
    """Wait until the last job is shown as retried, and take the picture."""
    assert stack.flower_url
    with browser() as chromium, chromium.new_context(viewport=_SIZE, device_scale_factor=1.2) as context:  # type: ignore[arg-type]
        tasks = Tasks(context.new_page(), stack.flower_url)
        wait_until(lambda: tasks.open().get("upgrade-1", {}).get("STATE") == "RETRY", what="a retried job")
        tasks.page.add_style_tag(content=_HIDDEN)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        tasks.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    sys.exit(main())
