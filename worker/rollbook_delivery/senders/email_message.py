"""A message as an e-mail: headers that no text can add others to, and a body of text, HTML or both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final

from rollbook.models import Content, Delivery

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MAX_HEADING: Final = 250


def email_message(
    delivery: Delivery,
    content: Content,
    *,
    from_: Address,
    reply_to: Address | None,
    address: str,
    headers: Mapping[str, str],
    now: datetime,
) -> EmailMessage:
    """The e-mail.

    address: the recipient's, as `deliverable_address` gives it.
    headers: further headers.
    now: when it is handed over.
    """
    mail = EmailMessage(policy=SMTP if address.isascii() else SMTPUTF8)
    mail["From"] = from_
    mail["To"] = _recipient(delivery, address)
    if reply_to is not None:
        mail["Reply-To"] = reply_to
    mail["Subject"] = one_line(content.subject or content.title or "")
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id(delivery.id, from_.domain)
    mail["Auto-Submitted"] = "auto-generated"  # so that no robot answers (RFC 3834)
    for name, value in headers.items():
        mail[name] = value
    if content.text is not None:
        mail.set_content(_storable(content.text), cte=_encoding(content.text))
    if content.html is not None:
        html = _storable(content.html)
        if content.text is None:
            mail.set_content(html, subtype="html", cte=_encoding(html))
        else:
            mail.add_alternative(html, subtype="html", cte=_encoding(html))
    return mail


def message_id(id: str, domain: str) -> str:
    """The `Message-ID` of a delivery: the same each time that it is handed over, so that servers find duplicates."""
    return f"<{id}@{domain}>"


def one_line(text: str) -> str:
    """The text without control characters and line breaks, for a header."""
    return _storable(" ".join(_CONTROLS.sub(" ", text).split()))[:_MAX_HEADING]


def _recipient(delivery: Delivery, address: str) -> Address:
    username, _, domain = address.rpartition("@")
    return Address(one_line(str(delivery.recipient.get("name") or "")), username, domain)


def _storable(text: str) -> str:
    """The text without lone surrogates, which are no characters."""
    return text.encode(errors="replace").decode()


def _encoding(text: str) -> str:
    """The transfer encoding: one that every server takes, and of these the shorter one."""
    return "base64" if sum(not character.isascii() for character in text) > len(text) // 6 else "quoted-printable"
