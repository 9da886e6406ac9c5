-- name: receipts_of
-- The newest settled delete of erased ids, known by their hashes.
SELECT id_hash, max(stamp) AS stamp
FROM rollbook.receipts
WHERE id_hash = ANY(%(hashes)s)
GROUP BY id_hash;

-- name: give_receipt
-- Say that somebody was erased, but not who.
INSERT INTO rollbook.receipts AS r (id_hash, stamp, erased, erased_at)
SELECT decode(id_hash, 'hex'), stamp, erased, rollbook.instant(%(now)s)
FROM json_to_recordset(%(receipts)s::json) AS n (id_hash text, stamp text, erased jsonb)
ON CONFLICT (id_hash, stamp) DO UPDATE SET
    erased = excluded.erased || jsonb_build_object('again', r.erased),
    erased_at = excluded.erased_at;
