-- name: select
-- The hashes of the keys with which receipts were written.
SELECT key_hash
FROM rollbook.erasure_keys;

-- name: lock
-- Be the only one that records a key, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('rollbook.erasure_keys', 0));

-- name: insert
-- Record a key.
INSERT INTO rollbook.erasure_keys (key_hash)
VALUES (%(key_hash)s)
ON CONFLICT DO NOTHING;
