"""A database's URL means to every process what it means to libpq, and what is not understood is named."""

from __future__ import annotations

from typing import Any

import pytest

from rollbook_shared.database.url import parse_database_url
from rollbook_shared.errors import NotConfigured


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("postgresql://app@db/app", {"user": "app", "host": "db", "dbname": "app"}),
        ("postgres://app@db/app", {"user": "app", "host": "db", "dbname": "app"}),
        ("postgresql+asyncpg://app@db/app", {"user": "app", "host": "db", "dbname": "app"}),
        ("postgresql+psycopg2://app@db/app", {"user": "app", "host": "db", "dbname": "app"}),
        (
            "postgresql://app:p%40ss@h1:5432,h2:5433/app?target_session_attrs=primary",
            {
                "user": "app",
                "password": "p@ss",
                "host": "h1,h2",
                "port": "5432,5433",
                "dbname": "app",
                "target_session_attrs": "primary",
            },
        ),
        ("postgresql:///app?host=/run/postgresql", {"dbname": "app", "host": "/run/postgresql"}),
        (
            "postgresql://app@db/app?prepare_threshold=5&sslmode=require",
            {"user": "app", "host": "db", "dbname": "app", "sslmode": "require", "prepare_threshold": 5},
        ),
        ("postgresql://db/app?prepare_threshold=0", {"host": "db", "dbname": "app", "prepare_threshold": 0}),
        ("postgresql://[::1]:5432/app", {"host": "::1", "port": "5432", "dbname": "app"}),
    ],
)
def test_a_url_means_what_it_means_to_libpq(url: str, parameters: dict[str, Any]) -> None:
    assert parse_database_url(url) == parameters


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql+asyncpg://app:S3cret@db/app?ssl=require", "option ssl, .* libpq's name for it is sslmode"),
        ("postgresql://app:S3cret@db/app?pool_size=5", "option pool_size, which libpq does not know"),
        ("postgresql://app:S3cret@/app?host=a:5432&host=b:5432", "several hosts stand as in .*a:5432,b:5432"),
        ("postgresql://app:S3cret@db/app?prepare_threshold=S3cret", "prepare_threshold that is no number"),
        ("postgresql://app:S3cret@db/app?S3cret=5", "must be like postgresql://"),
        ("postgresql://app:p@S3cret@db/app", "in a password %40 stands for @"),
        ("postgresql://app:S3cret%zz@db/app", "must be like postgresql://"),
        ("postgresql://app:S3cret@db:port/app", "with a number as the port"),
        ("postgresql://app:S3cret@h1:5432,h2:70000/app", "with a number as the port"),
        ("mysql://app:S3cret@db/app", "must be like postgresql://"),
        ("host=db password=S3cret", "must be like postgresql://"),
        ("db", "must be like postgresql://"),
    ],
)
def test_what_is_not_understood_is_named_without_the_password(url: str, named: str) -> None:
    with pytest.raises(NotConfigured, match=named) as rejected:
        parse_database_url(url)

    assert "S3cret" not in str(rejected.value)
