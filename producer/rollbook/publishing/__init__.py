"""How jobs leave the application."""

from rollbook.publishing.encoded_job import EncodedJob
from rollbook.publishing.publisher import EncodedPublisher, Publisher, send_text

__all__ = ["EncodedJob", "EncodedPublisher", "Publisher", "send_text"]
