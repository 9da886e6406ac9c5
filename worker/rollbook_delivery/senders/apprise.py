"""Sends messages through Apprise to whatever it reaches: team chats, SMS services, push services.

Apprise runs in processes of its own, one for each message that is on its way: none of its calls can be ended from
outside, and its timeouts begin anew with each byte. A process that hangs is killed, and another started. The service
and its secrets are one URL, so the URL comes from an environment variable, and is written nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Failed, Result, Sent
from rollbook_delivery.senders.email_message import one_line
from rollbook_delivery.senders.options import Options, Variable, read_options, read_secret, table_of
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.install_hint import require_extra
from rollbook_shared.registry import Channel

MAX_BODY: Final = 1_000_000
"""Characters. Services take far less, and Apprise then shortens the text as the service wants."""
START_SECONDS: Final = 120.0
"""Until a process has loaded Apprise and its 170 services: about a second on an idle machine."""
_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_NAMES: Final = ("address", "token")
_SAMPLES: Final[Mapping[str, str]] = {"email": "user@example.com", "sms": "+15555550100"}
"""By a channel's type: an address to check the URL with."""
_INHERITED: Final = (
    "PATH",
    "LANG",
    "LC_ALL",
    "HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)
"""Environment variables of the processes. They know neither our database nor the secrets of other channels."""


class AppriseOptions(Options):
    """The options of a channel with `delivery = "apprise"`."""

    concurrency: int = Field(default=2, ge=1, le=32)
    """How many messages of the channel are handed over at a time: so many processes of about 60 MB are started."""
    url_env: Variable
    """The environment variable with the URL of the service, as Apprise writes it. It may hold `{address}` or `{token}`
    behind the host, which stand for the recipient's. With `{token}` a message goes to each token.
    """


class AppriseSender:
    """Hands messages to Apprise."""

    def __init__(self, channel: Channel, env: Mapping[str, str]) -> None:
        """Check the options; `prepare` checks the URL.

        Raises:
            NotConfigured: an option or its variable is missing or invalid, or the extra `apprise` is not installed.
        """
        require_extra(f"the channel {channel.key}", "apprise", "apprise")
        options = read_options(AppriseOptions, channel)
        self.timeout = options.timeout
        self.concurrency = options.concurrency
        self._url = _url(options, channel, env)
        self._sample = _SAMPLES.get(channel.type, "sample")
        self._table = table_of(channel)
        self._idle: list[AppriseProcess] = []
        self._in_use = 0

    async def prepare(self) -> None:
        """See `Sender`."""
        while len(self._idle) + self._in_use < self.concurrency:
            process = await AppriseProcess.start()
            answer = await process.ask(_request(_filled(self._url, self._sample), check=True), within=START_SECONDS)
            if answer is None or not answer["ok"]:
                await process.kill()
            if answer is None:
                raise Unavailable("a process that sends through Apprise did not start")
            if not answer["ok"]:
                raise NotConfigured(f"{self._table}: the URL in the environment variable is none of Apprise's")
            self._idle.append(process)

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        """See `Sender`."""
        body = "" if content is None else content.text or content.html or ""
        if content is None or not body.strip():
            return Failed(reason="there is no template with a text or HTML for this message", permanent=True)
        if len(body) > MAX_BODY:
            return Failed(reason="the message is too long", permanent=True)
        targets = self._targets(delivery)
        if not targets or not all(targets):
            return Failed(reason="the recipient has no address", permanent=True)
        results = [await self._send_to(target, content, body) for target in targets]
        # one device that has it is enough: trying again would reach that one twice
        return next((result for result in results if isinstance(result, Sent)), results[0])

    async def aclose(self) -> None:
        """See `Sender`."""
        while self._idle:
            await self._idle.pop().kill()

    def _targets(self, delivery: Delivery) -> list[str]:
        """What stands for the placeholder, one for each call."""
        match _PLACEHOLDER.search(self._url):
            case None:
                return ["whole channel"]
            case found if found[1] == "token":
                return list(delivery.tokens)
            case _:
                return [delivery.address or ""]

    async def _send_to(self, target: str, content: Content, body: str) -> Result:
        request = _request(
            _filled(self._url, target),
            body=body,
            title=one_line(content.title or content.subject or ""),
            format="text" if content.text else "html",
            timeout=self.timeout,
        )
        if not self._idle:
            return Failed(reason="no process is ready to send through Apprise", outage=True)
        process = self._idle.pop()
        self._in_use += 1
        try:
            answer = await process.ask(request)
        except BaseException:  # cut off: it may be in the middle of the call
            await process.kill()
            raise
        finally:
            self._in_use -= 1
        if answer is None:
            await process.kill()
            return Failed(reason="the process that sends through Apprise has ended")
        self._idle.append(process)
        if answer.get("invalid"):
            return Failed(reason="Apprise takes no such address", permanent=True)
        return Sent() if answer["ok"] else Failed(reason="the service did not take the message")


class AppriseProcess:
    """A process that sends one message at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> AppriseProcess:
        """Start a process. It ends when this one does, or within seconds of it."""
        module = f"{__package__}.apprise_process"
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                start_new_session=True,  # so that Ctrl-C reaches us alone, and messages on their way are completed
            )
        )

    async def ask(self, request: Mapping[str, Any], *, within: float | None = None) -> dict[str, Any] | None:
        """The answer; None if the process has ended, or does not answer in time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within):
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
        except (OSError, TimeoutError):
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    async def kill(self) -> None:
        """End it, and what it is sending."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _request(
    url: str, *, check: bool = False, body: str = "", title: str = "", format: str = "text", timeout: float = 0.0
) -> Mapping[str, Any]:
    timeout = timeout or START_SECONDS
    return {"check": check, "url": url, "body": body, "title": title, "format": format, "timeout": timeout}


def _filled(url: str, target: str) -> str:
    return _PLACEHOLDER.sub(quote(target, safe=""), url)


def _url(options: AppriseOptions, channel: Channel, env: Mapping[str, str]) -> str:
    url = read_secret(options.url_env, channel, env)
    where = f"{table_of(channel)}: the URL in {options.url_env}"
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme or "\n" in url:
        raise NotConfigured(f"{where} must be such as slack://...")
    names = _PLACEHOLDER.findall(url)
    if any(name not in _NAMES for name in names) or len(set(names)) > 1:
        raise NotConfigured(f"{where} may hold {{address}} or {{token}}, and no other word in braces")
    if "{" in scheme + re.split(r"[/?#]", rest)[0]:
        raise NotConfigured(f"{where} may hold {{address}} or {{token}} only behind its host")
    return url
