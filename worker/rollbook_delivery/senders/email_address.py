"""E-mail addresses that may stand in an SMTP command and in a header."""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 254
"""Of an address that can stand in an SMTP path (RFC 5321)."""
_ADDRESS: Final = re.compile(r'[^\s\x00-\x20\x7f-\xa0<>()\[\]",:;\\@]{1,64}@([^\s\x00-\x20\x7f-\xa0<>()\[\]",:;\\@]+)')
"""Neither quoted local parts nor comments: they are hardly used, and parsers disagree about what they mean."""


def deliverable_address(address: str) -> str | None:
    """The address with an ASCII domain; None if it is no plain address, such as two, or one with a name.

    Its local part may have characters beyond ASCII; then only a server with SMTPUTF8 takes it.
    """
    if (found := _ADDRESS.fullmatch(address)) is None:
        return None
    local, domain = address[: found.start(1)], found[1]
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            return None
    plain = local + domain
    return plain if len(plain.encode(errors="replace")) <= MAX_LENGTH and _is_text(plain) else None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
