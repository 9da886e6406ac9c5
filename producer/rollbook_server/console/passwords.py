"""Passwords, hashed with Argon2id. Hashing takes a twentieth of a second and 64 MiB, so few go at a time."""

from __future__ import annotations

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from rollbook_shared.errors import InvalidRequest, Problem

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 1_000
_AT_A_TIME: Final = 2
_HASHER: Final = PasswordHasher()


def hash_password(password: str) -> str:
    """The hash of a password, with its parameters.

    Raises:
        InvalidRequest: the password is too short or too long.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InvalidRequest([Problem("password", f"must have {MIN_CHARACTERS} to {MAX_CHARACTERS:,} characters")])
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


class PasswordChecks:
    """Compares passwords with hashes, outside of the event loop."""

    def __init__(self) -> None:
        self._permits = asyncio.Semaphore(_AT_A_TIME)
        self._no_account = _HASHER.hash("no account has this password")

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has this hash. It takes as long where there is no hash, so that the time does not show
        which accounts exist.
        """
        if len(password) > MAX_CHARACTERS:
            return False
        async with self._permits:
            matches = await asyncio.to_thread(_matches, password_hash or self._no_account, password)
        return matches and password_hash is not None

    async def hash(self, password: str) -> str:
        """See `hash_password`."""
        async with self._permits:
            return await asyncio.to_thread(hash_password, password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password.encode("utf-8", "surrogatepass"))
    except (Argon2Error, InvalidHashError):
        return False
