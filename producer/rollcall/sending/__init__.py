"""How jobs leave the application."""

from rollcall.sending.seam import Sender

__all__ = ["Sender"]
