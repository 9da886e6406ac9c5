"""How the application reads what the workers have applied."""

from rollbook.reading.opening import open_reader
from rollbook.reading.seam import Reader

__all__ = ["Reader", "open_reader"]
