"""Compares the key of a request with the keys of the server, in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

SCHEME: Final = "bearer"


class KeyKind(StrEnum):
    """Whose key it is."""

    SECRET = "secret"
    PUBLIC = "public"


class Keys:
    """The keys of the server. Several of a kind may be valid at a time, so that a key can be exchanged."""

    def __init__(self, *, secret: Sequence[str], public: Sequence[str]) -> None:
        hashed = [(KeyKind.SECRET, _hash(key)) for key in secret] + [(KeyKind.PUBLIC, _hash(key)) for key in public]
        self._hashed = tuple(hashed)

    def kind_of(self, key: str) -> KeyKind | None:
        """The kind of the key; None if it is not valid."""
        given = _hash(key)
        found: KeyKind | None = None
        for kind, known in self._hashed:  # all of them, so that the time shows nothing
            if hmac.compare_digest(given, known):
                found = kind
        return found


def bearer_key(authorization: str | None) -> str | None:
    """The key in a header `Authorization: Bearer ...`; None if there is none."""
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() or None if scheme.lower() == SCHEME else None


def _hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
