"""Checks the HTTP server, if it is used here: that it answers and is ready, its keys, and which registry it has."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from rollbook_ops.formatting import format_count
from rollbook_server.access.weak_keys import MIN_CHARACTERS, weak_keys
from rollbook_server.settings import ServerSettings
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.reasons import safe_reason
from rollbook_shared.registry import Registry, RegistryFile, registry_fingerprint
from rollbook_shared.settings import Settings

ANSWER_SECONDS: Final = 5.0
_MAX_BYTES: Final = 65_536
_RUNBOOK: Final = "See `The HTTP server answers with errors` in the runbook."
_NEW_KEY: Final = "Make one with `openssl rand -hex 32`."


def examine_http_server(settings: Settings, server: ServerSettings) -> Iterator[Finding]:
    """Check what the settings name; reports nothing of what is not set here."""
    registry: Registry | None = None
    if settings.registry is not None:
        try:
            registry = RegistryFile(settings.registry).current
        except NotConfigured as error:
            yield problem("registry", str(error), "The server keeps the one that it has, and does not start again.")
        else:
            yield ok("registry", f"{format_count(len(registry.channels), 'channel')}, valid")
    if server.secret_keys:
        yield _check_keys(server)
    if server.url is not None:
        yield from _ask(server.url, registry)


def _check_keys(server: ServerSettings) -> Finding:
    weak = weak_keys(server.secret_keys)
    if weak:
        summary = (
            f"{weak} of {len(server.secret_keys)} have fewer than {MIN_CHARACTERS} characters, or are an example's"
        )
        return problem("secret keys", summary, f"Who guesses one may do everything. {_NEW_KEY}")
    if server.public_keys and server.user_token_public_key is None:
        summary = "there are public keys, and ROLLBOOK_USER_TOKEN_PUBLIC_KEY is not set: browsers are answered with 401"
        return warning("secret keys", summary, "Set it, or remove ROLLBOOK_PUBLIC_KEYS.")
    return ok("secret keys", format_count(len(server.secret_keys), "key"))


def _ask(url: str, registry: Registry | None) -> Iterator[Finding]:
    if urlsplit(url).scheme not in ("http", "https"):
        yield problem(
            "http server", "ROLLBOOK_SERVER_URL is no URL of http or https", "Set it, such as http://host:8787."
        )
        return
    try:
        answer = _readiness(url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        summary = f"does not answer: {safe_reason(error)}"
        yield problem("http server", summary, "Check ROLLBOOK_SERVER_URL, and that `rollbook serve` runs.")
        return
    match answer:
        case {"status": "ready"}:
            yield ok("http server", "ready")
        case {"missing": [*names]} if names and all(isinstance(name, str) for name in names):
            known = [name for name in ("redis", "postgres") if name in names]
            yield problem("http server", f"it does not reach {' and '.join(known) or 'its servers'}", _RUNBOOK)
        case _:
            yield problem("http server", "what answers is no server of Rollbook", "Check ROLLBOOK_SERVER_URL.")
            return
    if registry is not None and answer.get("registry") != registry_fingerprint(registry):
        advice = "Send it SIGHUP, or give it the file; its log says if the file was not valid."
        yield warning("server's registry", "the server has read another one than the file here", advice)


def _readiness(url: str) -> Any:
    """What the server says of itself.

    Raises:
        OSError, HTTPException: it does not answer.
        ValueError: it does not answer with JSON.
    """
    request = urllib.request.Request(f"{url.rstrip('/')}/readyz", headers={"accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return json.loads(answer.read(_MAX_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return json.loads(error.read(_MAX_BYTES))
