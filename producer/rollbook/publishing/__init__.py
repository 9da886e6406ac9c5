"""How jobs leave the application."""

from rollbook.publishing.encoded_job import EncodedJob
from rollbook.publishing.publisher import EncodedPublisher, Publisher, publish_encoded

__all__ = ["EncodedJob", "EncodedPublisher", "Publisher", "publish_encoded"]
