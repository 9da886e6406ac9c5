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


def is_csrf_token(given: str, secret: str, account: str) -> bool:
    """Whether it is the token."""
    wanted = csrf_token(secret, account).encode()
    return bool(secret) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted)
