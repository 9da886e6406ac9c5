"""How jobs leave the application."""

from rollcall.sending.encoded import EncodedJob
from rollcall.sending.seam import EncodedSender, Sender, send_text

__all__ = ["EncodedJob", "EncodedSender", "Sender", "send_text"]
