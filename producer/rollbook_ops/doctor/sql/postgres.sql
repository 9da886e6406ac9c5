-- name: server_time
-- The server's clock, in seconds since 1970.
SELECT extract(epoch FROM clock_timestamp())::float

-- name: largest_users
-- Users of whom much was kept when they were last written, the largest first.
SELECT user_id
FROM rollbook.large_users
ORDER BY bytes DESC
LIMIT %(limit)s

-- name: schema_revision
-- The revision that the schema was migrated to.
SELECT version_num FROM rollbook.alembic_version


-- name: durability
-- How long a commit of this session lasts, how many standbys there are, and whether a commit waits for any of them.
SELECT
    current_setting('synchronous_commit'),
    (SELECT count(*) FROM pg_stat_replication WHERE application_name <> 'pg_basebackup'),
    current_setting('synchronous_standby_names') <> ''

-- name: replication
-- Whether this is a replica, and how many seconds its newest transaction is behind what it has received.
SELECT
    pg_is_in_recovery(),
    CASE
        WHEN pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
            THEN coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float
        ELSE 0::float
    END

-- name: creators_in_public
-- Who may create in the schema `public`, besides its owner.
SELECT DISTINCT CASE WHEN granted.grantee = 0 THEN 'everyone' ELSE pg_get_userbyid(granted.grantee) END
FROM pg_namespace AS schema
CROSS JOIN aclexplode(schema.nspacl) AS granted
WHERE schema.nspname = 'public'
    AND granted.privilege_type = 'CREATE'
    AND granted.grantee <> schema.nspowner
    AND pg_get_userbyid(granted.grantee) <> current_user
ORDER BY 1
