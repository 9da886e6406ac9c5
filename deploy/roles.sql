-- Least privilege in Postgres: who may do what. Run it as the owner of Rollcall's tables, after `rollcall migrate`; once,
-- and again whenever you like: psql "$ROLLCALL_DATABASE_URL" --single-transaction --file deploy/roles.sql
--
-- The roles are groups. Give a login of your own to one of them, and its URL to the process:
--     CREATE ROLE app_worker LOGIN PASSWORD '...' IN ROLE rollcall_worker;
--
-- | role              | for                                                         | ROLLCALL_...    |
-- | ----------------- | ----------------------------------------------------------- | --------------- |
-- | rollcall_worker   | workers and upkeep                                           | DATABASE_URL    |
-- | rollcall_reader   | a backend's reads; sees no bodies of jobs                    | DATABASE_URL    |
-- | rollcall_operator | reader, bodies, exports; drops letters, cancels deferred jobs | DATABASE_URL    |
-- | rollcall_relay    | the relay, on the application's database and on Rollcall's   | both            |
-- | rollcall_outbox   | a backend that writes jobs into its outbox, and only that    | its own         |
--
-- Who migrates owns the tables, and is none of these. Part two is for the application's database, where it is another.

-- One: Rollcall's database

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['worker', 'reader', 'operator', 'relay', 'outbox'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rollcall_' || role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'rollcall_' || role);
        END IF;
    END LOOP;
END
$$;
GRANT rollcall_reader TO rollcall_operator;

DO $$
BEGIN
    IF to_regnamespace('rollcall') IS NULL THEN
        RETURN;
    END IF;
    REVOKE ALL ON SCHEMA rollcall FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA rollcall FROM PUBLIC;
    GRANT USAGE ON SCHEMA rollcall TO rollcall_worker, rollcall_reader, rollcall_relay;

    -- Neither may change the schema, truncate, or see anything outside of it.
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rollcall TO rollcall_worker;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollcall GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO rollcall_worker;
    GRANT SELECT ON ALL TABLES IN SCHEMA rollcall TO rollcall_reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollcall GRANT SELECT ON TABLES TO rollcall_reader;

    -- Not the bodies of jobs, which are about anybody.
    REVOKE SELECT ON rollcall.dead_letters, rollcall.deferred FROM rollcall_reader;
    GRANT SELECT (id, due_at) ON rollcall.deferred TO rollcall_reader;
    GRANT SELECT (id, digest, kind, code, reason, died_at) ON rollcall.dead_letters TO rollcall_reader, rollcall_relay;
    GRANT SELECT (id, digest) ON rollcall.jobs TO rollcall_relay;

    GRANT SELECT, DELETE ON rollcall.dead_letters TO rollcall_operator;
    GRANT SELECT, DELETE ON rollcall.deferred TO rollcall_operator;
    GRANT UPDATE (state, decided_at) ON rollcall.jobs TO rollcall_operator;
END
$$;

-- Two: the application's database, if it has an outbox

DO $$
BEGIN
    IF to_regclass('rollcall_outbox') IS NOT NULL THEN
        GRANT INSERT (id, digest, kind, body) ON rollcall_outbox TO rollcall_outbox;
        IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('rollcall_outbox') AND attname = 'trace') THEN
            GRANT INSERT (trace) ON rollcall_outbox TO rollcall_outbox;
        END IF;
        GRANT SELECT, UPDATE, DELETE ON rollcall_outbox TO rollcall_relay;
    END IF;
END
$$;
