"""Recognises the URLs of an earlier run, which a shell may still export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.endpoint import Endpoint, is_free

_LOCAL_URL: Final = re.compile(
    r"(?:postgresql://postgres|redis://):(?P<password>[0-9a-f]{32})@127\.0\.0\.1:(?P<port>[0-9]{1,5})/(?:postgres|0)"
)


def is_of_earlier_run(url: str, data_dir: Path | None) -> bool:
    """Return whether `url` is of a local server that an earlier run started and that this run is to start.

    That is a server of `data_dir`, or one of a run that has ended.
    """
    found = _LOCAL_URL.fullmatch(url)
    if found is None:
        return False
    if data_dir is not None:
        saved = [Endpoint.read(data_dir / f"{name}.json") for name in ("postgres", "valkey")]
        if found["password"] in [endpoint.password for endpoint in saved if endpoint is not None]:
            return True
    return is_free(int(found["port"]))
