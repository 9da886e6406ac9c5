"""The settings of a session, as others would have them, and as ours must be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import Session, make_session

ANSWERS: Final[Mapping[str, str]] = {
    "client_encoding": "LATIN1",
    "search_path": "public",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "1",
    "exit_on_error": "on",
}
"""What is always ours."""
LIMITS: Final[Mapping[str, str]] = {
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
    "tcp_user_timeout": "100000",
    "tcp_keepalives_idle": "100",
    "tcp_keepalives_interval": "100",
    "tcp_keepalives_count": "9",
    "synchronous_commit": "off",
    "jit": "on",
}
"""What a URL may say otherwise, and nothing else."""
OURS: Final[Mapping[str, str]] = {
    "client_encoding": "UTF8",
    "search_path": "pg_catalog,pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "exit_on_error": "off",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5min",
    "idle_session_timeout": "0",
    "tcp_user_timeout": "15000",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "synchronous_commit": "local",
    "jit": "off",
}


def make(url: str, **options: Any) -> Session:
    options = {"statement_timeout": timedelta(seconds=30), "lock_timeout": timedelta(seconds=5), **options}
    return make_session(url, application_name="tests", schema=DEFAULT_SCHEMA, **options)
