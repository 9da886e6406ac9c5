"""Broker URLs: kombu gets what it understands, and the rest as options."""

from __future__ import annotations

import pytest

from rollbook_shared.broker_url import for_kombu


@pytest.mark.parametrize(
    ("url", "plain", "options"),
    [
        ("redis://:pw@a:1/0;redis://b/0", "redis://:pw@a:1/0;redis://b/0", {}),
        ("rediss://a/0?ssl_cert_reqs=required", "rediss://a/0?ssl_cert_reqs=required", {}),
        ("sentinel://a:1/2", "sentinel://a:1/2", {}),
        ("sentinel://:pw@a:1/2?master_name=main", "sentinel://:pw@a:1/2", {"master_name": "main"}),
        ("sentinel://a?master_name=main;sentinel://b", "sentinel://a;sentinel://b", {"master_name": "main"}),
        ("sentinel://a;sentinel://b/0?master_name=m%20n", "sentinel://a;sentinel://b/0", {"master_name": "m n"}),
    ],
)
def test_the_master_s_name_is_an_option_and_all_else_stays(url: str, plain: str, options: dict[str, str]) -> None:
    assert for_kombu(url) == (plain, options)
