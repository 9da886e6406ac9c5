"""How jobs leave the application."""

from rollbook.sending.encoded import EncodedJob
from rollbook.sending.seam import EncodedSender, Sender, send_text

__all__ = ["EncodedJob", "EncodedSender", "Sender", "send_text"]
