"""Sends messages as signed webhooks, after the specification of Standard Webhooks.

`webhook-id` is the message's id, the same each time that it is handed over. The library `standardwebhooks` signs; what
it cannot is in here: several secrets at a time, so that one can be exchanged. Redirects are not followed, and no proxy
of the environment is used: the address that is checked must be the one that gets the message. Of an answer no more
than 64 KiB are read. httpcore and not httpx on top of it: only httpcore has a public place for the check of addresses.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import httpcore
from pydantic import Field, StringConstraints
from standardwebhooks import Webhook

from rollbook.models import Content, Delivery
from rollbook_delivery.delivery_json import delivery_json
from rollbook_delivery.results import Delivered, Failed, Result, Sent, TokenGone
from rollbook_delivery.senders.options import Options, Variable, client_tls, read_options, read_secret, table_of
from rollbook_delivery.senders.public_addresses import NotPublic, PublicAddresses
from rollbook_delivery.senders.retry_after import parse_retry_after
from rollbook_delivery.senders.unreachable import unreachable
from rollbook_shared.errors import NotConfigured
from rollbook_shared.json_values import encode_json
from rollbook_shared.registry import Channel

MAX_ANSWER_BYTES: Final = 64 * 1024
_IDLE_SECONDS: Final = 20.0
_LEAST_SECRET_BYTES: Final = 24  # and at most 64: the specification's bounds
_MOST_SECRET_BYTES: Final = 64
_PREFIX: Final = "whsec_"
_ABOUT_THIS_MESSAGE: Final = frozenset({400, 413, 422})
"""Statuses by which the webhook rejects one message; the same message would be rejected again."""
_ONE_MESSAGE_FAILED: Final = frozenset({408, 409, 425, 500})
"""Statuses that say nothing of other messages."""
_GONE: Final = 410
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=2_000)]


class WebhookOptions(Options):
    """The options of a channel with `delivery = "webhook"`."""

    timeout: float = Field(default=15.0, gt=0, le=300.0)
    """Seconds that an attempt may take; then it is cut off, and counts as failed."""
    concurrency: int = Field(default=10, ge=1, le=1_000)
    """How many messages of the channel a process hands over at a time."""
    url: HttpUrl | None = None
    """Where the messages are posted to. It needs https, unless `allow_private` is true."""
    url_env: Variable | None = None
    """In place of `url`: the environment variable with the URL, for one that is a secret."""
    secret_envs: tuple[Variable, ...] = Field(min_length=1, max_length=8)
    """The environment variables with the secrets (`whsec_` and 24 to 64 bytes as base64). Each signs, so that a
    receiver may exchange the secret that it knows: add the new one, let the receiver use it, remove the old one.
    """
    allow_private: bool = False
    """Whether the URL may be of this machine or a private network. Without it such an address is rejected."""
    ca_file: str | None = None
    """A file with the certificates that the server's is checked with, in place of the system's."""


class WebhookSender:
    """Posts messages to the URL of a channel."""

    def __init__(self, channel: Channel, env: Mapping[str, str]) -> None:
        """Check the options; nothing is connected.

        Raises:
            NotConfigured: an option, or a variable that one names, is missing or invalid.
        """
        options = read_options(WebhookOptions, channel)
        self.timeout = options.timeout
        self.concurrency = options.concurrency
        self._url = _url(options, channel, env)
        self._signers = [_signer(name, channel, env) for name in options.secret_envs]
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=client_tls(options.ca_file, channel),
            max_connections=options.concurrency,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=httpcore.AnyIOBackend() if options.allow_private else PublicAddresses(),
        )

    async def prepare(self) -> None:
        """See `Sender`."""

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        """See `Sender`."""
        body = encode_json(delivery_json(delivery, content))
        headers = self._headers(delivery.id, body, datetime.now(UTC))
        try:
            async with self._pool.stream("POST", self._url, headers=headers, content=body) as response:
                answer = await _read_answer(response)
        except NotPublic:
            return Failed(reason="the webhook's address is not public, and allow_private is not set", outage=True)
        except httpcore.TimeoutException:
            return Failed(reason="the webhook does not answer")
        except (httpcore.ConnectError, ssl.SSLError) as error:
            return unreachable("webhook", error)
        except (httpcore.NetworkError, httpcore.ProtocolError):
            return Failed(reason="the webhook closed the connection or answered with no HTTP")
        return _result(response, answer, delivery)

    async def aclose(self) -> None:
        """See `Sender`."""
        await self._pool.aclose()

    def _headers(self, id: str, body: bytes, now: datetime) -> dict[bytes | str, bytes | str]:
        text = body.decode()
        return {
            "host": _host_of(self._url),
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept": "application/json",
            "user-agent": "rollbook",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(id, now, text) for signer in self._signers),
        }


async def _read_answer(response: httpcore.Response) -> bytes:
    """The body; of a longer one only the beginning, and then the connection is not used again."""
    answer = bytearray()
    async for part in response.aiter_stream():
        answer += part
        if len(answer) > MAX_ANSWER_BYTES:
            break
    return bytes(answer)


def _result(response: httpcore.Response, answer: bytes, delivery: Delivery) -> Result:
    status = response.status
    if 200 <= status < 300:
        return _accepted(answer, delivery)
    reason = f"the webhook answered {status}"
    if status == _GONE:
        return Failed(reason=f"{reason} (gone): it wants no more messages", permanent=True, stops=True)
    if status in _ABOUT_THIS_MESSAGE:
        return Failed(reason=reason, permanent=True)
    if 300 <= status < 400:
        reason += " (a redirect, which is not followed)"
    headers = {name.lower(): value for name, value in response.headers}
    retry_after = parse_retry_after(headers.get(b"retry-after", b"").decode("latin-1"), datetime.now(UTC))
    return Failed(reason=reason, retry_after=retry_after, outage=status not in _ONE_MESSAGE_FAILED)


def _accepted(answer: bytes, delivery: Delivery) -> Result:
    """What the answer to a message that was taken says about it, in JSON; other answers say nothing."""
    try:
        found: Any = json.loads(answer) if len(answer) <= MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        if found.get("token_gone") in delivery.tokens:
            return TokenGone(found["token_gone"])
        if found.get("state") == "delivered":
            return Delivered()
    return Sent()


def _url(options: WebhookOptions, channel: Channel, env: Mapping[str, str]) -> str:
    if (options.url is None) == (options.url_env is None):
        raise NotConfigured(f"{table_of(channel)}: exactly one of url and url_env is required")
    url = options.url or read_secret(options.url_env or "", channel, env)
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        valid = False
    if not valid or parts.scheme not in ("http", "https") or parts.username is not None or parts.fragment:
        raise NotConfigured(f"{table_of(channel)}: the URL must be such as https://example.com/hook, without a login")
    if parts.scheme == "http" and not options.allow_private:
        raise NotConfigured(f"{table_of(channel)}: the URL must be of https, unless allow_private is true")
    return url


def _host_of(url: str) -> str:
    return urlsplit(url).netloc


def _signer(variable: str, channel: Channel, env: Mapping[str, str]) -> Webhook:
    text = read_secret(variable, channel, env).removeprefix(_PREFIX).rstrip("=")
    try:
        # checked here: the library skips what is no base64
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not _LEAST_SECRET_BYTES <= len(key) <= _MOST_SECRET_BYTES:
        raise NotConfigured(
            f"{table_of(channel)}: the environment variable {variable} must be whsec_ and 24 to 64 bytes as base64, "
            'such as "whsec_$(openssl rand -base64 32)"'
        )
    return Webhook(key)
