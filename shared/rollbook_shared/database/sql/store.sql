-- name: select_id
-- The id that the migration gave to this database.
SELECT id::text
FROM rollbook.store
