-- Least privilege in Postgres: what each role may do. Run this file as the owner of Rollbook's tables, after
-- `rollbook migrate`, as often as you like: psql "$ROLLBOOK_DATABASE_URL" --single-transaction --file deploy/roles.sql
--
-- The roles are groups. Create a login of your own in one of them, and give its URL to the process:
--     CREATE ROLE app_worker LOGIN PASSWORD '...' IN ROLE rollbook_worker;
--
-- | role              | for                                                         | ROLLBOOK_...    |
-- | ----------------- | ----------------------------------------------------------- | --------------- |
-- | rollbook_worker   | workers and maintenance                                      | DATABASE_URL    |
-- | rollbook_reader   | a backend's reads, without the bodies of jobs                | DATABASE_URL    |
-- | rollbook_operator | reads, bodies, exports, dropping dead letters, cancelling    | DATABASE_URL    |
-- | rollbook_relay    | the relay, on the application's database and on Rollbook's   | both            |
-- | rollbook_outbox   | a backend that writes jobs into its outbox, nothing else     | its own         |
--
-- The role that migrates owns the tables, and is none of these. Part two is for the application's database, if that is
-- another one.

-- One: Rollbook's database

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['worker', 'reader', 'operator', 'relay', 'outbox'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rollbook_' || role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'rollbook_' || role);
        END IF;
    END LOOP;
END
$$;
GRANT rollbook_reader TO rollbook_operator;

DO $$
BEGIN
    IF to_regnamespace('rollbook') IS NULL THEN
        RETURN;
    END IF;
    REVOKE ALL ON SCHEMA rollbook FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA rollbook FROM PUBLIC;
    GRANT USAGE ON SCHEMA rollbook TO rollbook_worker, rollbook_reader, rollbook_relay;

    -- No role may change the schema, truncate a table, or see anything outside of the schema.
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rollbook TO rollbook_worker;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollbook GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO rollbook_worker;
    GRANT SELECT ON ALL TABLES IN SCHEMA rollbook TO rollbook_reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollbook GRANT SELECT ON TABLES TO rollbook_reader;

    -- No bodies of jobs, which may hold data of any user.
    REVOKE SELECT ON rollbook.dead_letters, rollbook.deferred_jobs FROM rollbook_reader;
    GRANT SELECT (id, due_at) ON rollbook.deferred_jobs TO rollbook_reader;
    GRANT SELECT (id, digest, kind, code, reason, failed_at) ON rollbook.dead_letters TO rollbook_reader, rollbook_relay;
    GRANT SELECT (id, digest) ON rollbook.jobs TO rollbook_relay;

    GRANT SELECT, DELETE ON rollbook.dead_letters TO rollbook_operator;
    GRANT SELECT, DELETE ON rollbook.deferred_jobs TO rollbook_operator;
    GRANT UPDATE (state, finished_at) ON rollbook.jobs TO rollbook_operator;
END
$$;

-- Two: the application's database, if it has an outbox

DO $$
BEGIN
    IF to_regclass('rollbook_outbox') IS NOT NULL THEN
        GRANT INSERT (id, digest, kind, body) ON rollbook_outbox TO rollbook_outbox;
        IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('rollbook_outbox') AND attname = 'trace') THEN
            GRANT INSERT (trace) ON rollbook_outbox TO rollbook_outbox;
        END IF;
        GRANT SELECT, UPDATE, DELETE ON rollbook_outbox TO rollbook_relay;
    END IF;
END
$$;
