"""Looks at everything that Rollcall needs, and says what is wrong and what to do about it."""

from rollcall.doctor.examining import examine
from rollcall.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
