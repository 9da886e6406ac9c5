"""What pages use that the server may not import: the doctor, and templates of senders. `rollbook serve` brings them.

Both block, so pages run them in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rollbook.models import Content, Delivery
from rollbook_shared.observability.findings import Finding


class PreviewFailed(Exception):
    """A template cannot be rendered; the text says which and why, and holds no value of a user."""


class TemplatePreviews(Protocol):
    """The templates of the senders."""

    def names(self) -> Sequence[str]:
        """The files, sorted."""

    def render(self, delivery: Delivery) -> Content:
        """The message.

        Raises:
            PreviewFailed: there is no template for it, or it fails.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleTools:
    """What `rollbook serve` has for the console; None: it has none, and the page says so."""

    examine: Callable[[], Sequence[Finding]] | None = None
    """The doctor's findings."""
    templates: TemplatePreviews | None = None


NO_TOOLS: Final = ConsoleTools()
