"""Every statement of the relay on the outbox. Time is the database's: several relays need not agree on theirs."""

from __future__ import annotations

from typing import Final

TAKE_UNSENT: Final = """
WITH due AS MATERIALIZED (
    SELECT id, digest, due_at, octet_length(body) AS size
    FROM rollbook_outbox
    WHERE sent_at IS NULL
      AND due_at <= now()
    ORDER BY due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT id, digest, due_at, sum(size) OVER (ORDER BY due_at, id, digest) - size AS before
    FROM due
)
SELECT o.id, o.digest, o.kind, o.body, (SELECT trace FROM (SELECT o.*) AS row)
FROM measured AS m
JOIN rollbook_outbox AS o USING (id, digest)
CROSS JOIN (SELECT NULL::text AS trace) AS untraced
WHERE m.before < %(bytes)s
ORDER BY m.due_at, o.id
"""
"""Take jobs to send, oldest first, until they are too many or too large; pass over those that another relay has.

In a table from before there were traces, `trace` is not the row's but the one of `untraced`.
"""

MARK_SENT: Final = """
UPDATE rollbook_outbox AS o
SET sent_at = now(),
    attempts = attempts + 1,
    due_at = now() + make_interval(secs => %(look)s)
FROM unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.digest = s.digest
"""
"""These were sent; soon it is time to look what became of them."""

TAKE_SENT: Final = """
SELECT id, digest
FROM rollbook_outbox
WHERE sent_at IS NOT NULL
  AND due_at <= now()
ORDER BY due_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""
"""Take sent jobs that are to be asked after."""

READ_BODIES: Final = """
SELECT id, digest, body
FROM rollbook_outbox
JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
"""
"""Read what these are."""

DELETE: Final = """
DELETE FROM rollbook_outbox AS o
USING unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.digest = s.digest
"""
"""These are decided."""

POSTPONE: Final = """
WITH waiting AS (
    SELECT o.id, o.digest, o.sent_at + make_interval(secs => %(resend)s * 2 ^ least(o.attempts - 1, 6)) AS again_at
    FROM rollbook_outbox AS o
    JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
)
UPDATE rollbook_outbox AS o
SET sent_at = CASE WHEN w.again_at > now() THEN o.sent_at END,
    due_at = CASE
        WHEN w.again_at > now()
        THEN least(now() + greatest(now() - o.sent_at, make_interval(secs => %(look)s)), w.again_at)
        ELSE now()
    END
FROM waiting AS w
WHERE o.id = w.id
  AND o.digest = w.digest
RETURNING o.sent_at IS NULL
"""
"""These are not decided: look again after ever longer pauses, and have those sent again that were sent too long ago.

Each time a job was sent in vain the time until the next doubles, up to 64-fold: while all workers are down for an
hour, Redis must not fill with copies.
"""

COUNT: Final = """
SELECT
    count(*) FILTER (WHERE sent_at IS NULL),
    count(*) FILTER (WHERE sent_at IS NOT NULL),
    coalesce(max(attempts), 0),
    extract(epoch FROM now() - min(created_at))::float
FROM rollbook_outbox
"""
"""How many jobs wait to be sent, and to be decided; the most often that one was sent; the age of the oldest."""
