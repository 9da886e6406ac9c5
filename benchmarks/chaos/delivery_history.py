"""The history of deliveries: what senders recorded, and what Postgres shows at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
from benchmarks.chaos.delivery_journal import Claim, HandOver, Report, read_records
from benchmarks.chaos.sender_registry import DELIVERED_TYPES

_DELIVERIES: Final = """
SELECT m.id::text, d.state, d.reason
FROM rollbook.messages AS m
LEFT JOIN rollbook.deliveries AS d ON d.message_id = m.id
WHERE m.channel = ANY(%s)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRow:
    """What Postgres keeps of a message that is to leave."""

    state: str | None
    """None: it has no delivery."""
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryHistory:
    """All that is known of deliveries at the end of a run."""

    rows: Mapping[str, DeliveryRow] = field(default_factory=dict)
    """By message id: all messages on a channel that is delivered."""
    claims: tuple[Claim, ...] = ()
    hand_overs: tuple[HandOver, ...] = ()
    reports: tuple[Report, ...] = ()


def collect_deliveries(
    connection: psycopg.Connection, journals: Iterable[Path], taken: Iterable[HandOver]
) -> DeliveryHistory:
    """Collect the history. `taken` is what the sink has taken."""
    claims: list[Claim] = []
    reports: list[Report] = []
    for record in read_records(journals):
        match record:
            case Claim():
                claims.append(record)
            case Report():
                reports.append(record)
    found = connection.execute(_DELIVERIES, [list(DELIVERED_TYPES)]).fetchall()
    return DeliveryHistory(
        rows={id_: DeliveryRow(state=state, reason=reason) for id_, state, reason in found},
        claims=tuple(claims),
        hand_overs=tuple(taken),
        reports=tuple(reports),
    )
