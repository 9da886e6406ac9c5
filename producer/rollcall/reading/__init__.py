"""How the application reads what the workers have applied."""

from rollcall.reading.opening import open_reader
from rollcall.reading.seam import Reader

__all__ = ["Reader", "open_reader"]
