-- name: select_newest
-- The newest compacted delete of erased ids, found by their hashes.
SELECT id_hash, max(stamp) AS stamp
FROM rollbook.erasure_receipts
WHERE id_hash = ANY(%(hashes)s)
GROUP BY id_hash;

-- name: upsert
-- Record that a user was erased, but not which one.
INSERT INTO rollbook.erasure_receipts AS r (id_hash, stamp, erased, erased_at)
SELECT decode(id_hash, 'hex'), stamp, erased, rollbook.from_microseconds(%(now)s)
FROM json_to_recordset(%(receipts)s::json) AS n (id_hash text, stamp text, erased jsonb)
ON CONFLICT (id_hash, stamp) DO UPDATE SET
    erased = jsonb_set(excluded.erased, '{again}', r.erased),
    erased_at = excluded.erased_at;
