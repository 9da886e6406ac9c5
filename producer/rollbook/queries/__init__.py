"""How the application reads what the workers have applied."""

from rollbook.queries.factory import open_reader
from rollbook.queries.reader import Reader

__all__ = ["Reader", "open_reader"]
