"""Search keys: what users are found by when case does not matter.

Postgres' own `lower` depends on the locale and the libraries of the server, so that the same search would find other
users on another machine. These keys depend on nothing. In an e-mail address A to Z become small ones. In a
name the capitals of the Latin, Greek and Cyrillic scripts do, one by one. Every other character stays. The
columns `email_key` and `name_key` of `users` hold the same keys, made by Postgres.
"""

from __future__ import annotations

from typing import Final

MAX_KEY: Final = 200
"""Characters of a key. Postgres cannot index a value of more than about 2,700 bytes, and names may be longer."""
_SCRIPTS: Final = ((0x41, 0x5B), (0xC0, 0xDF), (0x100, 0x180), (0x386, 0x3AC), (0x400, 0x430))
"""From and until which code points capitals are folded."""
_SMALL: Final = {
    code: ord(chr(code).lower())
    for start, end in _SCRIPTS
    for code in range(start, end)
    if len(chr(code).lower()) == 1 and chr(code).lower() != chr(code)
}
_ASCII: Final = {code: small for code, small in _SMALL.items() if code < 0x80}
CAPITALS: Final = "".join(map(chr, _SMALL))
"""The capitals that are folded."""
SMALLS: Final = "".join(map(chr, _SMALL.values()))
"""What they become, in the same order."""


def email_key(email: str) -> str:
    """The key under which a user with this e-mail address is found."""
    return email.translate(_ASCII)[:MAX_KEY]


def name_key(name: str) -> str:
    """The key under which a user with this name is found."""
    return name.translate(_SMALL)[:MAX_KEY]


def end_of_prefix(prefix: str) -> str | None:
    """The smallest text that is larger than every text with this prefix; None if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None
