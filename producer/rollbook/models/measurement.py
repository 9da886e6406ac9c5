"""Measurements, as reads return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rollbook.models.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement(Model):
    """What waited at one time, and what was done in the ten seconds before it."""

    at: datetime
    """The time, a multiple of ten seconds: aware, in UTC."""
    figures: Mapping[str, float]
    """The figures by name; `rollbook_shared.figures.FIGURES` says what each is. One is absent that could not be
    measured, because Redis was away, or there was nothing to measure."""
