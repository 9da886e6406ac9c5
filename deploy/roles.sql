-- Least privilege in Postgres: what each role may do. Run this file as the owner of Rollbook's tables, after
-- `rollbook migrate`, as often as you like: psql service=rollbook --single-transaction --file deploy/roles.sql
--
-- A Rollbook whose schema is not `rollbook` has roles of its own, named for it, for roles are those of the whole server:
-- psql service=rollbook --single-transaction --set schema=eu --file deploy/roles.sql makes eu_worker, eu_reader, ...
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

\set ON_ERROR_STOP on
\if :{?schema}
\else
    \set schema rollbook
\endif
\set worker :schema _worker
\set server :schema _server
\set console :schema _console
\set reader :schema _reader
\set operator :schema _operator
\set sender :schema _sender
\set relay :schema _relay
\set outbox :schema _outbox

-- One: Rollbook's database

SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN', role)
FROM pg_catalog.unnest(
    ARRAY[:'worker', :'server', :'console', :'reader', :'operator', :'sender', :'relay', :'outbox']
) AS role
WHERE pg_catalog.to_regrole(pg_catalog.quote_ident(role)) IS NULL
\gexec
GRANT :"reader" TO :"operator", :"server";
GRANT :"operator", :"server" TO :"console";

SELECT pg_catalog.to_regnamespace(pg_catalog.quote_ident(:'schema')) IS NOT NULL AS has_schema
\gset
\if :has_schema
    REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM PUBLIC;
    GRANT USAGE ON SCHEMA :"schema" TO :"worker", :"reader", :"relay", :"sender";

    -- No role may change the schema, truncate a table, or see anything outside of the schema.
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO :"worker";
    ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"worker";
    REVOKE INSERT, UPDATE, DELETE ON :"schema".alembic_version FROM :"worker";
    REVOKE UPDATE, DELETE ON :"schema".erasure_keys FROM :"worker";
    -- The functions make and drop partitions of the history, with the rights of the owner.
    GRANT EXECUTE ON FUNCTION :"schema".cut_history(text, text), :"schema".drop_history(text, text) TO :"worker";
    GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"reader";
    ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"reader";

    -- No bodies of jobs, which may hold data of any user.
    REVOKE SELECT ON :"schema".dead_letters, :"schema".deferred_jobs FROM :"reader";
    GRANT SELECT (id, due_at, user_ids) ON :"schema".deferred_jobs TO :"reader";
    GRANT SELECT (id, digest, kind, code, reason, failed_at, trace_id) ON :"schema".dead_letters
        TO :"reader", :"relay";
    GRANT SELECT (id, digest) ON :"schema".jobs TO :"relay";

    -- Cancelling a deferred trigger.
    GRANT DELETE, SELECT (requested_at) ON :"schema".deferred_jobs TO :"server";
    GRANT UPDATE (state, finished_at, user_ids, requested_at) ON :"schema".jobs TO :"server";

    -- Which database this is: only the owner of the tables may change that.
    GRANT SELECT ON :"schema".store TO :"relay";
    REVOKE INSERT, UPDATE, DELETE ON :"schema".store FROM :"worker";

    -- A sender reads who a recipient is, and changes nothing but deliveries. Reports and claims are updates of these
    -- columns; it makes no delivery, and removes none.
    GRANT SELECT ON
        :"schema".deliveries,
        :"schema".delivery_rates,
        :"schema".messages,
        :"schema".triggers,
        :"schema".users,
        :"schema".ownership_periods,
        :"schema".ownership,
        :"schema".current_users,
        :"schema".preference_set_versions,
        :"schema".resolved_preference_sets,
        :"schema".effective_preference_sets,
        :"schema".push_token_changes,
        :"schema".push_token_users,
        :"schema".engagements,
        :"schema".channel_engagements,
        :"schema".resolved_channel_engagements,
        :"schema".effective_channel_engagements
    TO :"sender";
    GRANT UPDATE (state, reason, attempts, claims, due_at, expires_at, changed_at, waits_for) ON :"schema".deliveries
        TO :"sender";
    GRANT INSERT, UPDATE ON :"schema".delivery_rates TO :"sender";
    GRANT UPDATE (state, reason, attempts, claims, due_at, expires_at, changed_at, waits_for) ON :"schema".deliveries
        TO :"server", :"operator";
    GRANT INSERT, UPDATE ON :"schema".delivery_rates TO :"server", :"operator";

    GRANT SELECT, DELETE, UPDATE (replaying_until) ON :"schema".dead_letters TO :"operator";
    GRANT SELECT, DELETE ON :"schema".deferred_jobs TO :"operator";
    GRANT UPDATE (state, finished_at, user_ids, requested_at) ON :"schema".jobs TO :"operator";

    -- The console's accounts, sessions and audit are the console's. Maintenance removes what has expired, and takes
    -- erased users out of the audit.
    REVOKE ALL ON
        :"schema".console_accounts,
        :"schema".console_sessions,
        :"schema".console_login_tokens,
        :"schema".console_audit
    FROM :"reader", :"worker";
    GRANT SELECT, INSERT, UPDATE, DELETE ON
        :"schema".console_accounts,
        :"schema".console_sessions,
        :"schema".console_login_tokens
    TO :"console";
    GRANT SELECT, INSERT, UPDATE (outcome, user_ids, target, job_id, reason) ON :"schema".console_audit
        TO :"console";
    GRANT SELECT (token_hash, expires_at), DELETE ON :"schema".console_sessions, :"schema".console_login_tokens
        TO :"worker";
    GRANT SELECT (id, at, user_ids), UPDATE (user_ids, reason), DELETE ON :"schema".console_audit TO :"worker";
\endif

-- Two: the application's database, if it has an outbox

SELECT
    pg_catalog.to_regclass(pg_catalog.quote_ident(:'outbox')) IS NOT NULL AS has_outbox,
    EXISTS (
        SELECT
        FROM pg_catalog.pg_attribute
        WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.quote_ident(:'outbox'))
            AND attname OPERATOR(pg_catalog.=) 'trace'
    ) AS has_trace
\gset
\if :has_outbox
    GRANT INSERT (id, digest, kind, body) ON :"outbox" TO :"outbox";
    GRANT SELECT, UPDATE, DELETE ON :"outbox" TO :"relay";
    \if :has_trace
        GRANT INSERT (trace) ON :"outbox" TO :"outbox";
    \endif
\endif
