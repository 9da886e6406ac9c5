"""What a Postgres URL means: what it means to libpq, for every process. A driver in its scheme is ignored.

So `postgresql+asyncpg://`, which an application's SQLAlchemy has, is taken here, too, and several hosts
(`postgresql://h1:5432,h2:5433/app`) as libpq takes them. One option is psycopg's: `prepare_threshold`, for poolers
that keep prepared statements.
"""

from __future__ import annotations

import re
from typing import Any, Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from rollbook_shared.errors import NotConfigured

_POSTGRES: Final = ("postgresql", "postgres")
_UNKNOWN_OPTION: Final = re.compile(r'invalid URI query parameter: "([a-z_]{1,40})"')
_WITH_PORT: Final = re.compile(r"[^:/]+:[0-9]+")
"""How SQLAlchemy writes one of several hosts."""
_THRESHOLD: Final = "prepare_threshold="
_OTHER_NAMES: Final = {"ssl": "sslmode", "timeout": "connect_timeout", "database": "dbname"}
"""Options of asyncpg and others, and libpq's names for them."""


def libpq_url(database_url: str) -> str:
    """The URL without a driver: `postgresql://`. What is no Postgres URL is returned as it is."""
    given, separator, rest = database_url.partition("://")
    return f"postgresql://{rest}" if separator and given.partition("+")[0] in _POSTGRES else database_url


def parse_database_url(database_url: str, *, what: str = "the database's URL") -> dict[str, Any]:
    """The parameters for libpq, and for psycopg's `connect`, that the URL names.

    what: the URL's name in errors.

    Raises:
        NotConfigured: this is no URL of a Postgres, or has an option that is not known. The text quotes nothing that
            may be a part of a password.
    """
    url = libpq_url(database_url)
    must_be = "it must be like postgresql://user@127.0.0.1:5432/app"
    if not url.startswith("postgresql://"):
        raise NotConfigured(f"{what} cannot be used; {must_be}")
    url, threshold = _take_threshold(url, what)
    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError as error:
        if (found := _UNKNOWN_OPTION.search(str(error))) is None:
            raise NotConfigured(f"{what} cannot be used; {must_be}, and in a password %40 stands for @") from None
        name = found[1]
        instead = f"; libpq's name for it is {_OTHER_NAMES[name]}" if name in _OTHER_NAMES else ""
        raise NotConfigured(f"{what} has the option {name}, which libpq does not know{instead}") from None
    ports = str(parameters.get("port", "")).split(",")
    if not all(port == "" or (port.isdecimal() and 0 < int(port) < 65_536) for port in ports):
        raise NotConfigured(f"{what} cannot be used; {must_be}, with a number as the port")
    if any(_WITH_PORT.fullmatch(host) for host in str(parameters.get("host", "")).split(",")):
        raise NotConfigured(f"{what} cannot be used; several hosts stand as in postgresql://user@a:5432,b:5432/app")
    if "@" in str(parameters.get("host", "")):
        raise NotConfigured(f"{what} cannot be used; {must_be}, and in a password %40 stands for @")
    return {**parameters, **threshold}


def _take_threshold(url: str, what: str) -> tuple[str, dict[str, int]]:
    """The URL without `prepare_threshold`, and that."""
    base, mark, query = url.partition("?")
    options = query.split("&") if mark else []
    given = [option for option in options if option.startswith(_THRESHOLD)]
    if not given:
        return url, {}
    threshold = given[-1].removeprefix(_THRESHOLD)
    if not (threshold.isascii() and threshold.isdecimal()):
        raise NotConfigured(f"{what} has a prepare_threshold that is no number")
    rest = "&".join(option for option in options if option not in given)
    return f"{base}?{rest}" if rest else base, {"prepare_threshold": int(threshold)}
