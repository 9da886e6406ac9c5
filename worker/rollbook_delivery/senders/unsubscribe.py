"""The link by which a recipient opts out of a category, in the headers of RFC 2369 and RFC 8058."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import StringConstraints, field_validator

from rollbook.models import Delivery
from rollbook_delivery.senders.options import OptionTable, Variable

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NAMES: Final = ("user_id", "category", "workflow", "message_id", "signature")
Url = Annotated[str, StringConstraints(pattern=r"^https://[!-~]+$", max_length=2_000)]


class UnsubscribeOptions(OptionTable):
    """The table `unsubscribe` of a channel by SMTP."""

    url: Url
    """An https URL of the application, with the placeholders `{user_id}`, `{category}`, `{workflow}`, `{message_id}`
    and `{signature}`. Mail programs POST to it (`List-Unsubscribe=One-Click`) without any cookie, so it must be enough
    to know whom it is about, and it must not be guessable: use `{signature}`.
    """
    key_env: Variable | None = None
    """The environment variable with the key of `{signature}`: the hexadecimal HMAC-SHA256 of the user's id, a line
    feed and the category.
    """
    categories: tuple[str, ...] | None = None
    """The categories that a recipient may opt out of; none given: all. A mail of no such category has no link."""

    @field_validator("url")
    @classmethod
    def _known_placeholders(cls, url: str) -> str:
        for name in _PLACEHOLDER.findall(url):
            if name not in _NAMES:
                raise ValueError(f"has a placeholder that is none of {', '.join(_NAMES)}")
        if set("{}") & set(_PLACEHOLDER.sub("", url)):
            raise ValueError("has a brace that belongs to no placeholder")
        return url

    @property
    def is_signed(self) -> bool:
        """Whether the URL has a signature, and so needs a key."""
        return "{signature}" in self.url


def category_of(options: UnsubscribeOptions, delivery: Delivery) -> str | None:
    """The category of the message that its recipient may opt out of; None: there is none."""
    allowed = options.categories
    return next((name for name in delivery.categories if allowed is None or name in allowed), None)


def unsubscribe_headers(options: UnsubscribeOptions, key: str, delivery: Delivery) -> Mapping[str, str]:
    """The headers; none if the recipient may not opt out of this message."""
    if (category := category_of(options, delivery)) is None:
        return {}
    user_id = str(delivery.recipient["id"])
    values = {
        "user_id": user_id,
        "category": category,
        "workflow": delivery.workflow,
        "message_id": delivery.id,
        "signature": hmac.new(key.encode(), f"{user_id}\n{category}".encode(), hashlib.sha256).hexdigest(),
    }
    url = _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), options.url)
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
