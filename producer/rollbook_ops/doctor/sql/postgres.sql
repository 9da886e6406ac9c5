-- name: server_time
-- The server's clock, in seconds since 1970.
SELECT extract(epoch FROM clock_timestamp())::float

-- name: schema_revision
-- The revision that the schema was migrated to.
SELECT version_num FROM rollbook.alembic_version
