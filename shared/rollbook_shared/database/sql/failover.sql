-- name: timeline
-- Which cluster this is, and its timeline, which each promotion and each restore changes; null on a replica.
SELECT
    (SELECT system_identifier FROM pg_control_system()),
    CASE
        WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
    END
