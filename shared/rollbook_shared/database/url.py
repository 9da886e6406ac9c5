"""Postgres URLs for libpq and for SQLAlchemy. They differ in the scheme only, in which SQLAlchemy names its driver."""

from __future__ import annotations

from typing import Final

_POSTGRES: Final = ("postgresql", "postgres")


def libpq_url(database_url: str) -> str:
    """The URL without a driver: `postgresql://`. What is no Postgres URL is returned as it is."""
    return _with_scheme(database_url, "postgresql")


def sqlalchemy_url(database_url: str) -> str:
    """The URL with psycopg 3 as the driver: `postgresql+psycopg://`. What is no Postgres URL is returned as it is."""
    return _with_scheme(database_url, "postgresql+psycopg")


def _with_scheme(database_url: str, scheme: str) -> str:
    given, separator, rest = database_url.partition("://")
    return f"{scheme}://{rest}" if separator and given.partition("+")[0] in _POSTGRES else database_url
