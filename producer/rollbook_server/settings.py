"""The settings of the server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from rollbook_shared.environment import Choice, Duration, Number, Setting, read_fields


@dataclass(frozen=True)
class TextList(Setting):
    """An environment variable that holds several texts, separated by commas."""

    def parse(self, text: str) -> tuple[str, ...]:
        """See `Setting`."""
        return tuple(item for part in text.split(",") if (item := part.strip()))

    def format(self, value: Any) -> str:
        """See `Setting`."""
        return ",".join(value)


class AnonymousVisitors(StrEnum):
    """What to do with visitors who have no user id yet."""

    SKIP = "skip"
    USERS = "users"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """The settings of one server process, beside those of every client. `repr` shows no key."""

    url: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_SERVER_URL",
            "The address by which callers reach the server: `/openapi.json` names it, and the doctor asks there.",
        ),
    ] = None
    secret_keys: Annotated[
        tuple[str, ...],
        TextList(
            "ROLLBOOK_SECRET_KEYS",
            "Keys of backends, separated by commas. Each may do everything. Several are valid at a time, so that one "
            "can be exchanged.",
        ),
    ] = field(default=(), repr=False)
    public_keys: Annotated[
        tuple[str, ...],
        TextList(
            "ROLLBOOK_PUBLIC_KEYS",
            "Keys of browsers and apps, separated by commas. Each call needs a user token as well.",
        ),
    ] = field(default=(), repr=False)
    user_token_public_key: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_USER_TOKEN_PUBLIC_KEY",
            "The public half of the RSA key with which the application signs user tokens (RS256), in PEM, or that as "
            "base64.",
        ),
    ] = field(default=None, repr=False)
    segment_keys: Annotated[
        tuple[str, ...],
        TextList(
            "ROLLBOOK_SEGMENT_KEYS",
            "Write keys of Segment's libraries, separated by commas, for the calls that are compatible with Segment.",
        ),
    ] = field(default=(), repr=False)
    segment_anonymous: Annotated[
        AnonymousVisitors,
        Choice(
            "ROLLBOOK_SEGMENT_ANONYMOUS",
            "What Segment's visitors without a `userId` are: `skip`: not kept; `users`: users, which are merged into "
            "the user that they are later identified as.",
            kind=AnonymousVisitors,
        ),
    ] = AnonymousVisitors.SKIP
    cors_origins: Annotated[
        tuple[str, ...],
        TextList("ROLLBOOK_CORS_ORIGINS", "Origins whose pages may call the server, separated by commas; `*`: all."),
    ] = ()
    browser_traits: Annotated[
        tuple[str, ...],
        TextList(
            "ROLLBOOK_BROWSER_TRAITS",
            "Traits that a public key may write, separated by commas; `*`: all. Others are ignored.",
        ),
    ] = ("*",)
    wait: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_SERVER_WAIT_SECONDS",
            "How long a write waits for a worker before it answers 202.",
            unit="seconds",
        ),
    ] = timedelta(seconds=3)
    request_timeout: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_SERVER_REQUEST_SECONDS",
            "How long the headers of a request may take, and then the request, its body included.",
            unit="seconds",
        ),
    ] = timedelta(seconds=30)
    max_body_bytes: Annotated[
        int, Number("ROLLBOOK_SERVER_MAX_BODY_BYTES", "The body of one request.", unit="bytes", least=1)
    ] = 10 * 1024 * 1024
    max_requests: Annotated[
        int,
        Number(
            "ROLLBOOK_SERVER_MAX_REQUESTS",
            "Requests that are served at the same time; others are answered with 503 at once.",
            least=1,
        ),
    ] = 500
    max_listeners: Annotated[
        int,
        Number(
            "ROLLBOOK_SERVER_MAX_LISTENERS",
            "Open sockets and event streams of one process; others are rejected for now.",
            least=1,
        ),
    ] = 10_000

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> ServerSettings:
        """Read the settings from `env`, by default the process's environment.

        Raises:
            NotConfigured: a variable has a value that cannot be used.
        """
        return cls(**read_fields(cls, os.environ if env is None else env))
