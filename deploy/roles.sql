-- Least privilege in Postgres: what each role may do. Run this file as the owner of Rollbook's tables, after
-- `rollbook migrate`, as often as you like: psql service=rollbook --single-transaction --file deploy/roles.sql
--
-- The roles are groups. Create a login of your own in one of them, and give its URL to the process:
--     CREATE ROLE app_worker LOGIN IN ROLE rollbook_worker;
--     \password app_worker
--
-- | role              | for                                                         | ROLLBOOK_...    |
-- | ----------------- | ----------------------------------------------------------- | --------------- |
-- | rollbook_worker   | workers and maintenance                                      | DATABASE_URL    |
-- | rollbook_server   | the HTTP server: reads as a reader, cancelling, deliveries    | DATABASE_URL    |
-- | rollbook_console  | the HTTP server with the console: an operator's rights too   | DATABASE_URL    |
-- | rollbook_reader   | a backend's reads, without the bodies of jobs                | DATABASE_URL    |
-- | rollbook_operator | reads, bodies, exports, dead letters, cancelling             | DATABASE_URL    |
-- | rollbook_sender   | senders: claims deliveries, and what it takes to send them    | DATABASE_URL    |
-- | rollbook_relay    | the relay, on the application's database and on Rollbook's   | both            |
-- | rollbook_outbox   | a backend that writes jobs into its outbox, nothing else     | its own         |
--
-- Every operator and function says that it is Postgres' own: an owner may run this whose search path has a schema in which
-- others create theirs.
--
-- The role that migrates owns the tables, and is none of these. Part two is for the application's database, if that is
-- another one.

-- One: Rollbook's database

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['worker', 'server', 'console', 'reader', 'operator', 'sender', 'relay', 'outbox'] LOOP
        IF pg_catalog.to_regrole('rollbook_' OPERATOR(pg_catalog.||) role) IS NULL THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', 'rollbook_' OPERATOR(pg_catalog.||) role);
        END IF;
    END LOOP;
END
$$;
GRANT rollbook_reader TO rollbook_operator, rollbook_server;
GRANT rollbook_operator, rollbook_server TO rollbook_console;

DO $$
BEGIN
    IF pg_catalog.to_regnamespace('rollbook') IS NULL THEN
        RETURN;
    END IF;
    REVOKE ALL ON SCHEMA rollbook FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA rollbook FROM PUBLIC;
    GRANT USAGE ON SCHEMA rollbook TO rollbook_worker, rollbook_reader, rollbook_relay, rollbook_sender;

    -- No role may change the schema, truncate a table, or see anything outside of the schema.
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rollbook TO rollbook_worker;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollbook GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO rollbook_worker;
    REVOKE INSERT, UPDATE, DELETE ON rollbook.alembic_version FROM rollbook_worker;
    REVOKE UPDATE, DELETE ON rollbook.erasure_keys FROM rollbook_worker;
    GRANT SELECT ON ALL TABLES IN SCHEMA rollbook TO rollbook_reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA rollbook GRANT SELECT ON TABLES TO rollbook_reader;

    -- No bodies of jobs, which may hold data of any user.
    REVOKE SELECT ON rollbook.dead_letters, rollbook.deferred_jobs FROM rollbook_reader;
    GRANT SELECT (id, due_at, user_ids) ON rollbook.deferred_jobs TO rollbook_reader;
    GRANT SELECT (id, digest, kind, code, reason, failed_at, trace_id) ON rollbook.dead_letters
        TO rollbook_reader, rollbook_relay;
    GRANT SELECT (id, digest) ON rollbook.jobs TO rollbook_relay;

    -- Cancelling a deferred trigger.
    GRANT DELETE, SELECT (requested_at) ON rollbook.deferred_jobs TO rollbook_server;
    GRANT UPDATE (state, finished_at, user_ids, requested_at) ON rollbook.jobs TO rollbook_server;

    -- Which database this is: only the owner of the tables may change that.
    GRANT SELECT ON rollbook.store TO rollbook_relay;
    REVOKE INSERT, UPDATE, DELETE ON rollbook.store FROM rollbook_worker;

    -- A sender reads who a recipient is, and changes nothing but deliveries. Reports and claims are updates of these
    -- columns; it makes no delivery, and removes none.
    GRANT SELECT ON
        rollbook.deliveries,
        rollbook.delivery_rates,
        rollbook.messages,
        rollbook.triggers,
        rollbook.users,
        rollbook.ownership_periods,
        rollbook.ownership,
        rollbook.current_users,
        rollbook.preference_set_versions,
        rollbook.resolved_preference_sets,
        rollbook.effective_preference_sets,
        rollbook.push_token_changes,
        rollbook.push_token_users,
        rollbook.engagements,
        rollbook.channel_engagements,
        rollbook.resolved_channel_engagements,
        rollbook.effective_channel_engagements
    TO rollbook_sender;
    GRANT UPDATE (state, reason, attempts, claims, due_at, expires_at, changed_at, waits_for) ON rollbook.deliveries
        TO rollbook_sender;
    GRANT INSERT, UPDATE ON rollbook.delivery_rates TO rollbook_sender;
    GRANT UPDATE (state, reason, attempts, claims, due_at, expires_at, changed_at, waits_for) ON rollbook.deliveries
        TO rollbook_server, rollbook_operator;
    GRANT INSERT, UPDATE ON rollbook.delivery_rates TO rollbook_server, rollbook_operator;

    GRANT SELECT, DELETE, UPDATE (replaying_until) ON rollbook.dead_letters TO rollbook_operator;
    GRANT SELECT, DELETE ON rollbook.deferred_jobs TO rollbook_operator;
    GRANT UPDATE (state, finished_at, user_ids, requested_at) ON rollbook.jobs TO rollbook_operator;

    -- The console's accounts, sessions and audit are the console's. Maintenance removes what has expired, and takes
    -- erased users out of the audit.
    REVOKE ALL ON
        rollbook.console_accounts,
        rollbook.console_sessions,
        rollbook.console_login_tokens,
        rollbook.console_audit
    FROM rollbook_reader, rollbook_worker;
    GRANT SELECT, INSERT, UPDATE, DELETE ON
        rollbook.console_accounts,
        rollbook.console_sessions,
        rollbook.console_login_tokens
    TO rollbook_console;
    GRANT SELECT, INSERT, UPDATE (outcome, user_ids, target, job_id, reason) ON rollbook.console_audit
        TO rollbook_console;
    GRANT SELECT (token_hash, expires_at), DELETE ON rollbook.console_sessions, rollbook.console_login_tokens
        TO rollbook_worker;
    GRANT SELECT (id, at, user_ids), UPDATE (user_ids, reason), DELETE ON rollbook.console_audit TO rollbook_worker;
END
$$;

-- Two: the application's database, if it has an outbox

DO $$
BEGIN
    IF pg_catalog.to_regclass('rollbook_outbox') IS NOT NULL THEN
        GRANT INSERT (id, digest, kind, body) ON rollbook_outbox TO rollbook_outbox;
        IF EXISTS (
            SELECT
            FROM pg_catalog.pg_attribute
            WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('rollbook_outbox')
                AND attname OPERATOR(pg_catalog.=) 'trace'
        ) THEN
            GRANT INSERT (trace) ON rollbook_outbox TO rollbook_outbox;
        END IF;
        GRANT SELECT, UPDATE, DELETE ON rollbook_outbox TO rollbook_relay;
    END IF;
END
$$;
