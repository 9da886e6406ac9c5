"""The broker's URL: as kombu takes it, and `?master_name=`, which kombu does not. Read alike by those who send jobs and
by those who apply them.
"""

from __future__ import annotations

from urllib.parse import parse_qsl


def for_kombu(url: str) -> tuple[str, dict[str, str]]:
    """The URL, or several with `;` between them, and the options of the transport that it said.

    `sentinel://10.0.0.1:26379/0;sentinel://10.0.0.2:26379/0?master_name=main`: of which master the sentinels are asked
    is an option to kombu. It may stand at any of them.
    """
    if not is_sentinel(url):
        return url, {}
    parts = [server.partition("?") for server in url.split(";")]
    said = dict(parse_qsl("&".join(query for _, _, query in parts)))
    return ";".join(plain for plain, _, _ in parts), {name: said[name] for name in ("master_name",) if name in said}


def is_sentinel(url: str) -> bool:
    """Whether the URL names sentinels, who know where Redis is, rather than Redis."""
    return url.startswith("sentinel://")
