"""Looks at everything that Rollbook needs, and says what is wrong and what to do about it."""

from rollbook.doctor.examining import examine
from rollbook.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
