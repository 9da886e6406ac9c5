"""Tokens in forms, without which no form is accepted: another site cannot know them.

A token is bound to the session; without one, to a random cookie and the account that the proxy names.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

FIELD: Final = "csrf_token"


def csrf_token(secret: str, account: str) -> str:
    """The token for the forms of an account.

    secret: the token of the session, or the value of the cookie.
    account: its name; empty: without a login.
    """
    message = f"rollbook console\0{account}".encode("utf-8", "surrogatepass")
    return hmac.new(secret.encode("utf-8", "surrogatepass"), message, sha256).hexdigest()


def reveal_token(secret: str, account: str, address: str, minute: int) -> str:
    """What lets a part of a page that was revealed be loaded without masks, by this session and for a minute or two.

    address: of the part, with its query string.
    minute: since 1970.
    """
    return csrf_token(f"{secret}\0{minute}\0{address}", account)


def is_csrf_token(given: str, secret: str, account: str) -> bool:
    """Whether it is the token."""
    wanted = csrf_token(secret, account).encode()
    return bool(secret) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted)
