"""Checks everything that Rollbook needs, and says what is wrong and what to do about it."""

from rollbook_ops.doctor.examination import examine
from rollbook_shared.observability.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
