"""How jobs leave the application."""

from rollbook.publishing.encoded_job import EncodedJob
from rollbook.publishing.publisher import EncodedSender, Sender, send_text

__all__ = ["EncodedJob", "EncodedSender", "Sender", "send_text"]
