"""Create the tables of users, history and jobs, and the views that readers query.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEARCH_KEYS = """
-- An attribute of a user as readers see it; null where no user exists.
CREATE FUNCTION rollbook.visible_attribute(
    cluster_root text, resolved_profile jsonb, first_identified text, profile jsonb, key text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN cluster_root IS NOT NULL THEN resolved_profile ->> key
    WHEN first_identified IS NOT NULL THEN profile ->> key
END;

-- What a user is found by who has this e-mail address, without regard to the case of A to Z. Postgres keeps `hashtext`
-- as it is, because hash indexes, which pg_upgrade copies, depend on it.
CREATE FUNCTION rollbook.email_hash(value text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtext(lower(value COLLATE "C"));

-- What a user is found by who has this phone number.
CREATE FUNCTION rollbook.phone_number_hash(value text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtext(value COLLATE "C");

-- The text without regard to case; see `rollbook_shared.domain.search_keys`. Most texts are ASCII. These functions are
-- in PL/pgSQL, because an SQL function would be inlined in a generated column, and evaluate its argument several times.
CREATE FUNCTION rollbook.fold_case(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF octet_length(value) = char_length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    RETURN translate(
        lower(value COLLATE "C"),
            'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦ'
            'ĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΆΈΉΊΌΎΏΑ'
            'ΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИ'
            'ЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
            'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħ'
            'ĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžάέήίόύώα'
            'βγδεζηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежзи'
            'йклмнопрстуфхцчшщъыьэюя'
    );
END
$$;

-- An RFC 3339 time as microseconds since 1970. Digits after the sixth of a fraction do not count. The worker has
-- checked the text; Postgres' own cast would fail for an offset of 16 hours.
CREATE FUNCTION rollbook.microseconds(value text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_utc constant boolean := right(value, 1) IN ('Z', 'z');
    at timestamp := translate(left(left(value, CASE WHEN is_utc THEN -1 ELSE -6 END), 26), 'Tt', '  ')::timestamp;
    zone interval := CASE WHEN is_utc THEN interval '0' ELSE right(value, 5)::interval HOUR TO MINUTE END;
BEGIN
    IF left(right(value, 6), 1) = '-' THEN
        zone := -zone;
    END IF;
    RETURN (extract(epoch FROM at - zone) * 1000000)::bigint;
END
$$;

-- The search keys of an e-mail address and a name.
CREATE FUNCTION rollbook.email_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(lower(value COLLATE "C"), 200);
CREATE FUNCTION rollbook.name_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(rollbook.fold_case(value), 200);

-- The keys that are stored for optional indexes: none, and at no cost, until `rollbook migrate --index` replaces the
-- body of such a function; see `rollbook_worker.migrations.optional_indexes`.
CREATE FUNCTION rollbook.stored_phone_number_hash(value text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULL::integer;
CREATE FUNCTION rollbook.stored_email_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULL::text;
CREATE FUNCTION rollbook.stored_name_key(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULL::text;
CREATE FUNCTION rollbook.stored_created_key(value text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULL::bigint;
"""

TABLES = """
CREATE TABLE rollbook.users (
    id text COLLATE "C" PRIMARY KEY,
    cluster_root text COLLATE "C",
    canonical_id text COLLATE "C",
    resolved_profile jsonb,
    resolved_stamp text COLLATE "C",
    profile jsonb NOT NULL,
    key_stamps jsonb NOT NULL,
    base_stamp text COLLATE "C",
    last_stamp text COLLATE "C",
    first_identified text COLLATE "C",
    identify_stamps text COLLATE "C" NOT NULL,
    -- What users are found by. An update that changes none of it stays HOT, although it changes the profile: Postgres
    -- compares the values of indexed columns, but not of indexed expressions.
    email_hash integer GENERATED ALWAYS AS (rollbook.email_hash(rollbook.visible_attribute(
        cluster_root, resolved_profile, first_identified, profile, 'a.email'
    ))) STORED,
    phone_number_hash integer GENERATED ALWAYS AS (rollbook.stored_phone_number_hash(rollbook.visible_attribute(
        cluster_root, resolved_profile, first_identified, profile, 'a.phone_number'
    ))) STORED,
    email_key text COLLATE "C" GENERATED ALWAYS AS (rollbook.stored_email_key(rollbook.visible_attribute(
        cluster_root, resolved_profile, first_identified, profile, 'a.email'
    ))) STORED,
    name_key text COLLATE "C" GENERATED ALWAYS AS (rollbook.stored_name_key(rollbook.visible_attribute(
        cluster_root, resolved_profile, first_identified, profile, 'a.name'
    ))) STORED,
    created_key bigint GENERATED ALWAYS AS (rollbook.stored_created_key(rollbook.visible_attribute(
        cluster_root, resolved_profile, first_identified, profile, 'a.created_at'
    ))) STORED
) WITH (fillfactor = 80);
CREATE INDEX users_cluster_root ON rollbook.users (cluster_root) WHERE cluster_root IS NOT NULL;
CREATE INDEX users_email ON rollbook.users (email_hash) WHERE email_hash IS NOT NULL;

CREATE TABLE rollbook.identify_log (
    user_id text COLLATE "C",
    last_stamp text COLLATE "C",
    identify_stamps text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, last_stamp)
);

CREATE TABLE rollbook.preference_set_versions (
    user_id text COLLATE "C",
    set_id text COLLATE "C",
    stamp text COLLATE "C",
    settings jsonb,
    changes jsonb,
    PRIMARY KEY (user_id, set_id, stamp)
);

CREATE TABLE rollbook.resolved_preference_sets (
    user_id text COLLATE "C",
    set_id text COLLATE "C",
    valid_from text COLLATE "C",
    settings jsonb,
    PRIMARY KEY (user_id, set_id, valid_from)
);

CREATE TABLE rollbook.push_token_changes (
    user_id text COLLATE "C",
    channel_id text COLLATE "C",
    stamp text COLLATE "C",
    token text NOT NULL,
    device jsonb,
    is_added boolean NOT NULL,
    PRIMARY KEY (user_id, channel_id, stamp)
);

CREATE TABLE rollbook.push_token_users (
    user_id text COLLATE "C",
    channel_id text COLLATE "C",
    token_hash bytea,
    stamp text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, channel_id, token_hash)
);
CREATE INDEX push_token_users_token ON rollbook.push_token_users (channel_id, token_hash, stamp);

CREATE TABLE rollbook.lifecycle_events (
    stamp text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    primary_id text COLLATE "C",
    keep_opt_outs boolean NOT NULL,
    merge_tokens boolean NOT NULL
);
CREATE INDEX lifecycle_events_deletes ON rollbook.lifecycle_events (stamp) WHERE primary_id IS NULL;
CREATE INDEX lifecycle_events_user ON rollbook.lifecycle_events (user_id);
CREATE INDEX lifecycle_events_primary ON rollbook.lifecycle_events (primary_id) WHERE primary_id IS NOT NULL;

CREATE TABLE rollbook.ownership_periods (
    user_id text COLLATE "C",
    valid_from text COLLATE "C",
    valid_to text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    existed boolean NOT NULL,
    PRIMARY KEY (user_id, valid_from)
);
CREATE INDEX ownership_periods_owner ON rollbook.ownership_periods (owner) WHERE owner IS NOT NULL;
CREATE INDEX ownership_periods_unowned ON rollbook.ownership_periods (user_id, valid_from) WHERE owner IS NULL;

CREATE TABLE rollbook.triggers (
    job_id text COLLATE "C" PRIMARY KEY,
    stamp text COLLATE "C" NOT NULL,
    workflow text NOT NULL,
    had_actor boolean NOT NULL,
    actor text COLLATE "C",
    tenant text,
    categories text[] NOT NULL,
    data jsonb NOT NULL,
    trace text
);
CREATE INDEX triggers_actor ON rollbook.triggers (actor, stamp) WHERE actor IS NOT NULL;

CREATE TABLE rollbook.activities (
    id uuid PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL,
    stamp text COLLATE "C" NOT NULL,
    recipient text COLLATE "C" NOT NULL
);
CREATE INDEX activities_recipient ON rollbook.activities (recipient, stamp);
CREATE INDEX activities_job ON rollbook.activities (job_id);

CREATE TABLE rollbook.messages (
    id uuid PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL,
    stamp text COLLATE "C" NOT NULL,
    recipient text COLLATE "C" NOT NULL,
    channel text NOT NULL
);
CREATE INDEX messages_recipient ON rollbook.messages (recipient, stamp);
CREATE INDEX messages_job ON rollbook.messages (job_id);

-- The messages that leave, one row each: when a sender may claim it (`due_at`), or what became of it. The rows are no
-- facts: what is handed over hangs on when jobs arrive. Each index leaves out what the other has, so that a claim
-- passes over nothing that is done. Claimed rows die where claims look next, so they are vacuumed early.
CREATE TABLE rollbook.deliveries (
    message_id uuid PRIMARY KEY,
    channel text COLLATE "C" NOT NULL,
    workflow text COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    state text NOT NULL,
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    claims integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    waits_for text COLLATE "C",
    CONSTRAINT deliveries_state CHECK (
        state IN ('pending', 'claimed', 'failed', 'sent', 'delivered', 'undeliverable', 'skipped', 'cancelled')
    ),
    CONSTRAINT deliveries_due CHECK ((due_at IS NOT NULL) = (state IN ('pending', 'claimed', 'failed')))
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX deliveries_due_at ON rollbook.deliveries (channel, priority, workflow, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_changed_at ON rollbook.deliveries (state, changed_at, message_id) WHERE due_at IS NULL;
-- For identifies that come after a message; few rows are in it.
CREATE INDEX deliveries_waits_for ON rollbook.deliveries (waits_for, expires_at) WHERE waits_for IS NOT NULL;

-- How many deliveries of a channel with a rate may be claimed now.
CREATE TABLE rollbook.delivery_rates (
    channel text COLLATE "C" PRIMARY KEY,
    allowance double precision NOT NULL,
    refilled_at timestamptz NOT NULL
);

-- What each trigger was addressed to that stood for no user then, as far as was known. Rows stay for the erasure delay.
CREATE TABLE rollbook.unknown_recipients (
    stamp text COLLATE "C",
    recipient text COLLATE "C",
    PRIMARY KEY (stamp, recipient)
);
CREATE INDEX unknown_recipients_recipient ON rollbook.unknown_recipients (recipient);

CREATE TABLE rollbook.engagements (
    message_id uuid,
    engagement text,
    user_id text COLLATE "C" DEFAULT '',
    stamp text COLLATE "C" NOT NULL,
    is_set boolean NOT NULL,
    PRIMARY KEY (message_id, engagement, user_id)
);
CREATE INDEX engagements_user ON rollbook.engagements (user_id, stamp) WHERE user_id <> '';

CREATE TABLE rollbook.channel_engagements (
    user_id text COLLATE "C",
    channel text,
    engagement text,
    stamp text COLLATE "C" NOT NULL,
    is_set boolean NOT NULL,
    PRIMARY KEY (user_id, channel, engagement)
);

CREATE TABLE rollbook.resolved_channel_engagements (
    user_id text COLLATE "C",
    channel text,
    engagement text,
    stamp text COLLATE "C" NOT NULL,
    is_set boolean NOT NULL,
    PRIMARY KEY (user_id, channel, engagement)
);

-- Users of whom much was kept when they were last written; for lists of users, and for the doctor.
CREATE TABLE rollbook.large_users (
    user_id text COLLATE "C" PRIMARY KEY,
    bytes bigint NOT NULL
);
CREATE INDEX large_users_bytes ON rollbook.large_users (bytes);

-- Identifies this database. Workers compare it with what is noted beside the queues in Redis.
CREATE TABLE rollbook.store (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO rollbook.store DEFAULT VALUES;

CREATE TABLE rollbook.jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL,
    occurred_at bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    duplicates integer NOT NULL DEFAULT 0,
    detail jsonb,
    -- Only of a rejected or cancelled job, which leaves nothing else by which its users could be found.
    user_ids text[] COLLATE "C",
    requested_at bigint,
    -- Of a job whose publisher was traced.
    trace_id uuid,
    CONSTRAINT jobs_state CHECK (state IN ('applied', 'rejected', 'deferred', 'cancelled'))
);
-- A B-tree although the table grows in time order: its oldest rows are deleted again and again, and new rows reuse
-- their space, so that the ranges of a BRIN index would soon exclude nothing. Partial, because only these rows are
-- pruned: rows that stay for ever would pile up where each search for the oldest begins.
CREATE INDEX jobs_finished_at ON rollbook.jobs (finished_at) WHERE state IN ('applied', 'rejected');
-- For lists of recent jobs. Neither index has an identify that was applied, as most jobs are.
CREATE INDEX jobs_state ON rollbook.jobs (state, finished_at) WHERE state <> 'applied';
CREATE INDEX jobs_kind ON rollbook.jobs (kind, finished_at) WHERE kind <> 'identify';
CREATE INDEX jobs_users ON rollbook.jobs USING gin (user_ids) WHERE user_ids IS NOT NULL;
CREATE INDEX jobs_skipped ON rollbook.jobs USING gin ((detail -> 'skipped')) WHERE detail ? 'skipped';

CREATE TABLE rollbook.dead_letters (
    id text COLLATE "C",
    digest bytea,
    kind text,
    code text NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    user_ids text[] COLLATE "C" NOT NULL,
    requested_at bigint,
    failed_at timestamptz NOT NULL,
    trace_id uuid,
    -- Until then one replay has the dead letter, and no other gets it.
    replaying_until timestamptz,
    PRIMARY KEY (id, digest)
);
CREATE INDEX dead_letters_failed_at ON rollbook.dead_letters (failed_at, id, digest);
CREATE INDEX dead_letters_code ON rollbook.dead_letters (code, failed_at, id, digest);
CREATE INDEX dead_letters_users ON rollbook.dead_letters USING gin (user_ids);

CREATE TABLE rollbook.deferred_jobs (
    id text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL,
    body text NOT NULL,
    user_ids text[] COLLATE "C" NOT NULL,
    requested_at bigint NOT NULL,
    trace text
);
CREATE INDEX deferred_jobs_due_at ON rollbook.deferred_jobs (due_at, id);
CREATE INDEX deferred_jobs_users ON rollbook.deferred_jobs USING gin (user_ids);

-- What waited and what was done, by the time of the measurement; maintenance keeps those of the last hour.
CREATE TABLE rollbook.measurements (
    measured_at timestamptz PRIMARY KEY,
    figures jsonb NOT NULL
);

CREATE TABLE rollbook.erasure_receipts (
    id_hash bytea,
    stamp text COLLATE "C",
    erased jsonb NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (id_hash, stamp)
);

CREATE TABLE rollbook.erasure_keys (
    key_hash bytea PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE rollbook.console_accounts (
    name text COLLATE "C" PRIMARY KEY,
    password_hash text,
    role text NOT NULL,
    sees_personal_data boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT console_accounts_role CHECK (role IN ('reader', 'operator', 'admin'))
);

CREATE TABLE rollbook.console_sessions (
    token_hash bytea PRIMARY KEY,
    account text COLLATE "C" NOT NULL REFERENCES rollbook.console_accounts (name) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_sessions_account ON rollbook.console_sessions (account);
CREATE INDEX console_sessions_expires_at ON rollbook.console_sessions (expires_at);

CREATE TABLE rollbook.console_login_tokens (
    token_hash bytea PRIMARY KEY,
    account text COLLATE "C" NOT NULL REFERENCES rollbook.console_accounts (name) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_login_tokens_account ON rollbook.console_login_tokens (account);
CREATE INDEX console_login_tokens_expires_at ON rollbook.console_login_tokens (expires_at);

CREATE TABLE rollbook.console_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    account text COLLATE "C",
    action text NOT NULL,
    outcome text NOT NULL,
    user_ids text[] COLLATE "C",
    target text,
    job_id text COLLATE "C",
    reason text,
    CONSTRAINT console_audit_outcome CHECK (outcome IN ('begun', 'done', 'rejected', 'failed'))
);
CREATE INDEX console_audit_at ON rollbook.console_audit (at);
CREATE INDEX console_audit_account ON rollbook.console_audit (account, id);
CREATE INDEX console_audit_action ON rollbook.console_audit (action, id);
CREATE INDEX console_audit_users ON rollbook.console_audit USING gin (user_ids) WHERE user_ids IS NOT NULL;
"""

FUNCTIONS = """
-- The dead letters that name some of these users. With the rights of the owner: `user_ids` may hold any text of a
-- message of another application, which a role that may not read bodies may not read either.
CREATE FUNCTION rollbook.dead_letters_of_users(ids text[]) RETURNS TABLE (
    id text, digest bytea, kind text, code text, reason text, failed_at timestamptz, trace_id uuid, occurred_at bigint
) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        d.id, d.digest, d.kind, d.code, d.reason, d.failed_at, d.trace_id,
        coalesce(d.requested_at, (extract(epoch FROM d.failed_at) * 1000000)::bigint)
    FROM rollbook.dead_letters AS d
    WHERE d.user_ids && dead_letters_of_users.ids
$$;

-- The stamp of each key of a profile whose keys all have the same stamp.
CREATE FUNCTION rollbook.uniform_stamps(profile jsonb, stamp text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(key, stamp), '{}') FROM jsonb_object_keys(profile) AS key);
END
$$;

-- The received values that are newer than the stored ones. In PL/pgSQL, because an SQL function that cannot be inlined
-- costs ten times as much a call.
CREATE FUNCTION rollbook.newer_values(
    received jsonb, received_stamps jsonb, received_base text, stored jsonb, stored_stamps jsonb, stored_base text
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM jsonb_each(received)
        WHERE coalesce(stored_stamps ->> key, CASE WHEN stored ? key THEN stored_base ELSE '' END) COLLATE "C"
            < coalesce(received_stamps ->> key, received_base) COLLATE "C"
    );
END
$$;

-- The stamps of the received values that are newer than the stored ones.
CREATE FUNCTION rollbook.newer_stamps(
    received jsonb, received_stamps jsonb, received_base text, stored jsonb, stored_stamps jsonb, stored_base text
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(key, coalesce(received_stamps ->> key, received_base)), '{}')
        FROM jsonb_object_keys(received) AS key
        WHERE coalesce(stored_stamps ->> key, CASE WHEN stored ? key THEN stored_base ELSE '' END) COLLATE "C"
            < coalesce(received_stamps ->> key, received_base) COLLATE "C"
    );
END
$$;

-- One section of a profile, without the prefix of its keys. In preferences and channel data, null means that the key
-- was removed.
CREATE FUNCTION rollbook.section(profile jsonb, prefix text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(jsonb_object_agg(substr(key, 3), value), '{}')
    FROM jsonb_each(profile)
    WHERE left(key, 1) = prefix AND (prefix IN ('a', 'p') OR value <> 'null')
);

-- Whether one setting, of a workflow or a category, allows a channel.
CREATE FUNCTION rollbook.setting_allows(setting jsonb, channel text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN setting IS NULL
    OR (setting <> 'false' AND (setting -> 'channel_types' ->> channel) IS DISTINCT FROM 'false');

-- Whether a user's data of a channel, which may have any form, says that nothing reaches the user there.
CREATE FUNCTION rollbook.is_unreachable(channel_data jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(jsonb_typeof(channel_data) <> 'object', true)
    OR channel_data = '{}'
    OR (
        channel_data ?| ARRAY['tokens', 'connections']
        AND coalesce(channel_data -> 'tokens', '[]') IN ('[]', 'null')
        AND coalesce(channel_data -> 'connections', '[]') IN ('[]', 'null')
    );

-- Whether every setting that applies to a message is true or absent. In PL/pgSQL, like `effective_preferences`: both
-- run for every message of a feed, and an SQL function that cannot be inlined costs ten times as much.
CREATE FUNCTION rollbook.is_channel_enabled(settings jsonb, workflow text, categories text[], channel text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category text;
BEGIN
    IF settings IS NULL THEN
        RETURN true;
    END IF;
    IF (settings -> 'channel_types' ->> channel) = 'false' THEN
        RETURN false;
    END IF;
    FOREACH category IN ARRAY categories LOOP
        IF NOT rollbook.setting_allows(settings -> 'categories' -> category, channel) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN rollbook.setting_allows(settings -> 'workflows' -> workflow, channel);
END
$$;

-- The time that lies this many microseconds after 1970. Of parts that are all immutable, as `timestamptz + interval` is
-- not: otherwise Postgres would call a function, and not put its body in the place of the call.
CREATE FUNCTION rollbook.from_microseconds(microseconds bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (timestamp '1970-01-01' + microseconds * interval '1 microsecond') AT TIME ZONE 'UTC';

-- When the job of a stamp occurred.
CREATE FUNCTION rollbook.occurred_at(stamp text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN rollbook.from_microseconds(('x00' || left(stamp, 14))::bit(64)::bigint);
"""

VIEWS = """
-- The data of each channel that was received under an id, with the push tokens that were added and removed since. The
-- rule is that of `rollbook_shared.domain.push_tokens`.
CREATE FUNCTION rollbook.received_channel_data(of_user text, profile jsonb, key_stamps jsonb, base_stamp text)
RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb := rollbook.section(profile, 'c');
    change record;
    one jsonb;
    tokens jsonb;
    devices jsonb;
BEGIN
    FOR change IN
        SELECT c.channel_id, c.token, c.device, c.is_added
        FROM rollbook.push_token_changes AS c
        WHERE c.user_id = of_user
            AND c.stamp > coalesce(
                key_stamps ->> ('c.' || c.channel_id),
                CASE WHEN profile ? ('c.' || c.channel_id) THEN base_stamp ELSE '' END
            ) COLLATE "C"
        ORDER BY c.stamp
    LOOP
        one := result -> change.channel_id;
        CONTINUE WHEN one IS NULL AND NOT change.is_added;
        SELECT coalesce(jsonb_agg(item ORDER BY place), '[]')
        INTO tokens
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(one -> 'tokens') = 'array' THEN one -> 'tokens' ELSE '[]' END
        ) WITH ORDINALITY AS listed (item, place)
        WHERE item <> to_jsonb(change.token);
        SELECT coalesce(jsonb_agg(item ORDER BY place), '[]')
        INTO devices
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(one -> 'devices') = 'array' THEN one -> 'devices' ELSE '[]' END
        ) WITH ORDINALITY AS listed (item, place)
        WHERE jsonb_typeof(item) <> 'object'
            OR item -> 'token' IS DISTINCT FROM to_jsonb(change.token);
        IF change.is_added THEN
            tokens := tokens || jsonb_build_array(change.token);
            IF change.device IS NOT NULL THEN
                devices := devices || jsonb_build_array(jsonb_build_object('token', change.token) || change.device);
            END IF;
        END IF;
        one := coalesce(one, '{}') - 'tokens' - 'devices'
            || CASE WHEN tokens = '[]' THEN '{}' ELSE jsonb_build_object('tokens', tokens) END
            || CASE WHEN devices = '[]' THEN '{}' ELSE jsonb_build_object('devices', devices) END;
        result := CASE
            WHEN one = '{}' THEN result - change.channel_id
            ELSE result || jsonb_build_object(change.channel_id, one)
        END;
    END LOOP;
    RETURN result;
END
$$;

-- The user who sent a push token last, as of now: an id stands for the user that it was merged into, and what was sent
-- before its user was deleted does not count.
CREATE FUNCTION rollbook.user_of_push_token(of_channel text, of_hash bytea) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT coalesce(u.canonical_id, u.id)
        FROM rollbook.push_token_users AS sent
        JOIN rollbook.users AS u ON u.id = sent.user_id
        WHERE sent.channel_id = of_channel COLLATE "C"
            AND sent.token_hash = of_hash
            AND (
                u.cluster_root IS NULL
                OR NOT EXISTS (
                    SELECT
                    FROM rollbook.ownership_periods AS period
                    WHERE period.user_id = sent.user_id
                        AND period.valid_from > sent.stamp
                        AND NOT period.existed
                )
            )
        ORDER BY sent.stamp DESC
        LIMIT 1
    );
END
$$;

-- A user's data of a channel without the push tokens that another user has sent since, and without their devices.
CREATE FUNCTION rollbook.own_channel_data(of_user text, of_channel text, data jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost text[];
    result jsonb := data;
BEGIN
    IF jsonb_typeof(data) IS DISTINCT FROM 'object' OR jsonb_typeof(data -> 'tokens') IS DISTINCT FROM 'array' THEN
        RETURN data;
    END IF;
    SELECT array_agg(token)
    INTO lost
    FROM jsonb_array_elements_text(data -> 'tokens') AS token
    WHERE rollbook.user_of_push_token(of_channel, substr(sha256(convert_to(token, 'UTF8')), 1, 16)) <> of_user;
    IF lost IS NULL THEN
        RETURN data;
    END IF;
    result := jsonb_set(result, '{tokens}', (data -> 'tokens') - lost);
    IF jsonb_typeof(data -> 'devices') = 'array' THEN
        result := jsonb_set(result, '{devices}', (
            SELECT coalesce(jsonb_agg(item ORDER BY place), '[]')
            FROM jsonb_array_elements(data -> 'devices') WITH ORDINALITY AS listed (item, place)
            WHERE coalesce(item ->> 'token' <> ALL (lost), true)
        ));
    END IF;
    RETURN result;
END
$$;

CREATE VIEW rollbook.current_users AS
SELECT
    id,
    profile,
    profile ->> 'a.email' AS email,
    profile ->> 'a.name' AS name,
    profile ->> 'a.avatar' AS avatar,
    profile ->> 'a.phone_number' AS phone_number,
    profile ->> 'a.locale' AS locale,
    profile ->> 'a.timezone' AS timezone,
    profile ->> 'a.created_at' AS created_at,
    rollbook.section(profile, 'p') AS properties,
    CASE
        WHEN cluster_root IS NULL THEN (
            SELECT coalesce(jsonb_object_agg(set_id, settings) FILTER (WHERE settings IS NOT NULL), '{}')
            FROM (
                SELECT DISTINCT ON (set_id) set_id, settings
                FROM rollbook.preference_set_versions
                WHERE user_id = existing.id
                ORDER BY set_id, stamp DESC
            ) AS newest
        )
        ELSE rollbook.section(profile, 's')
    END AS preferences,
    CASE
        WHEN cluster_root IS NULL THEN rollbook.received_channel_data(id, profile, key_stamps, base_stamp)
        ELSE rollbook.section(profile, 'c')
    END AS channel_data,
    rollbook.occurred_at(updated_stamp) AS updated_at,
    updated_stamp
FROM (
    SELECT
        id,
        cluster_root,
        key_stamps,
        base_stamp,
        CASE WHEN cluster_root IS NULL THEN profile ELSE resolved_profile END AS profile,
        CASE WHEN cluster_root IS NULL THEN last_stamp ELSE resolved_stamp END AS updated_stamp
    FROM rollbook.users
    WHERE CASE WHEN cluster_root IS NULL THEN first_identified IS NOT NULL ELSE resolved_profile IS NOT NULL END
) AS existing;

CREATE VIEW rollbook.merged_users AS
SELECT id, canonical_id AS merged_into
FROM rollbook.users
WHERE canonical_id IS NOT NULL;

-- Who owns what was addressed to each id, and when. An id that no merge or delete names has one period without an end,
-- from its first identify on. `~` sorts after every stamp.
CREATE VIEW rollbook.ownership AS
SELECT id AS user_id, first_identified AS valid_from, '~' COLLATE "C" AS valid_to, id AS owner
FROM rollbook.users
WHERE cluster_root IS NULL AND first_identified IS NOT NULL
UNION ALL
SELECT user_id, valid_from, valid_to, owner
FROM rollbook.ownership_periods
WHERE owner IS NOT NULL;

-- The preference sets that applied to an id, and from when on: as received, or as its cluster resolves them.
CREATE VIEW rollbook.effective_preference_sets AS
SELECT version.user_id, version.set_id, version.stamp AS valid_from, version.settings
FROM rollbook.preference_set_versions AS version
JOIN rollbook.users AS u ON u.id = version.user_id AND u.cluster_root IS NULL
UNION ALL
SELECT user_id, set_id, valid_from, settings
FROM rollbook.resolved_preference_sets;

-- The settings that applied to what was addressed to an id: the tenant's set if there was one, otherwise the default.
CREATE FUNCTION rollbook.effective_preferences(addressed_id text, for_tenant text, at_stamp text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found jsonb;
BEGIN
    IF for_tenant IS NOT NULL THEN
        SELECT settings
        INTO found
        FROM rollbook.effective_preference_sets
        WHERE user_id = addressed_id AND set_id = for_tenant AND valid_from <= at_stamp COLLATE "C"
        ORDER BY valid_from DESC
        LIMIT 1;
    END IF;
    IF found IS NULL THEN
        SELECT settings
        INTO found
        FROM rollbook.effective_preference_sets
        WHERE user_id = addressed_id AND set_id = 'default' AND valid_from <= at_stamp COLLATE "C"
        ORDER BY valid_from DESC
        LIMIT 1;
    END IF;
    RETURN found;
END
$$;

-- What was said of all messages on a channel that are addressed to an id: as received, or as its cluster resolves it.
CREATE VIEW rollbook.effective_channel_engagements AS
SELECT e.user_id, e.channel, e.engagement, e.stamp, e.is_set
FROM rollbook.channel_engagements AS e
JOIN rollbook.users AS u ON u.id = e.user_id AND u.cluster_root IS NULL
UNION ALL
SELECT user_id, channel, engagement, stamp, is_set
FROM rollbook.resolved_channel_engagements;

-- The state of each engagement of a message, by name: the stamp of its newest change, and + (set) or - (cleared). What
-- was recorded under the id of a user counts only if that user is the owner now.
CREATE FUNCTION rollbook.engagement_states(
    of_message uuid, of_owner text, addressed_id text, on_channel text, message_stamp text
) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(engagement, state), '{}')
        FROM (
            SELECT engagement, max(state COLLATE "C") AS state
            FROM (
                SELECT e.engagement, e.stamp || CASE WHEN e.is_set THEN '+' ELSE '-' END AS state
                FROM rollbook.engagements AS e
                WHERE e.message_id = of_message
                    AND (
                        e.user_id = ''
                        OR EXISTS (
                            SELECT 1
                            FROM rollbook.ownership AS own
                            WHERE own.user_id = e.user_id
                                AND own.owner = of_owner
                                AND e.stamp >= own.valid_from
                                AND e.stamp < own.valid_to
                        )
                    )
                UNION ALL
                SELECT a.engagement, a.stamp || CASE WHEN a.is_set THEN '+' ELSE '-' END
                FROM rollbook.effective_channel_engagements AS a
                WHERE a.user_id = addressed_id
                    AND a.channel = on_channel
                    AND a.stamp > message_stamp COLLATE "C"
            ) AS every
            GROUP BY engagement
        ) AS newest
    );
END
$$;

-- The newer of the state of one message, and of the state of all messages if it is newer than the message.
CREATE FUNCTION rollbook.newest_state(single text, of_all text, message_stamp text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(
    single COLLATE "C",
    CASE WHEN of_all COLLATE "C" > message_stamp COLLATE "C" THEN of_all COLLATE "C" END
);

-- Whether the state of an engagement says that it is set.
CREATE FUNCTION rollbook.is_engaged(state text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(right(state, 1) = '+', false);

-- When an engagement was set, by its state; null: it is not set.
CREATE FUNCTION rollbook.engaged_at(state text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN right(state, 1) = '+' THEN rollbook.occurred_at(state) END;

-- The actor is a subquery, not a join: Postgres cannot push the key of a join into the UNION ALL of `ownership`, and
-- would read every user.
CREATE VIEW rollbook.owned_activities AS
SELECT
    row.id,
    row.job_id,
    row.stamp,
    own.owner,
    row.recipient,
    trigger.workflow,
    trigger.tenant,
    trigger.data,
    trigger.had_actor,
    (
        SELECT actor.owner
        FROM rollbook.ownership AS actor
        WHERE actor.user_id = trigger.actor
            AND row.stamp >= actor.valid_from
            AND row.stamp < actor.valid_to
    ) AS actor,
    rollbook.occurred_at(row.stamp) AS occurred_at
FROM rollbook.activities AS row
JOIN rollbook.ownership AS own
    ON own.user_id = row.recipient AND row.stamp >= own.valid_from AND row.stamp < own.valid_to
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id;

CREATE VIEW rollbook.owned_messages AS
SELECT
    id,
    job_id,
    stamp,
    owner,
    recipient,
    workflow,
    tenant,
    data,
    had_actor,
    actor,
    occurred_at,
    channel,
    rollbook.is_engaged(engagements ->> 'seen') AS seen,
    rollbook.is_engaged(engagements ->> 'read') AS read,
    rollbook.is_engaged(engagements ->> 'interacted') AS interacted,
    rollbook.is_engaged(engagements ->> 'archived') AS archived,
    rollbook.engaged_at(engagements ->> 'seen') AS seen_at,
    rollbook.engaged_at(engagements ->> 'read') AS read_at,
    rollbook.engaged_at(engagements ->> 'interacted') AS interacted_at,
    rollbook.engaged_at(engagements ->> 'archived') AS archived_at
FROM (
    SELECT
        row.id,
        row.job_id,
        row.stamp,
        own.owner,
        row.recipient,
        trigger.workflow,
        trigger.tenant,
        trigger.data,
        trigger.had_actor,
        (
            SELECT actor.owner
            FROM rollbook.ownership AS actor
            WHERE actor.user_id = trigger.actor
                AND row.stamp >= actor.valid_from
                AND row.stamp < actor.valid_to
        ) AS actor,
        rollbook.occurred_at(row.stamp) AS occurred_at,
        row.channel,
        rollbook.engagement_states(row.id, own.owner, row.recipient, row.channel, row.stamp) AS engagements
    FROM rollbook.messages AS row
    JOIN rollbook.ownership AS own
        ON own.user_id = row.recipient AND row.stamp >= own.valid_from AND row.stamp < own.valid_to
    JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
    WHERE rollbook.is_channel_enabled(
        rollbook.effective_preferences(row.recipient, trigger.tenant, row.stamp),
        trigger.workflow,
        trigger.categories,
        row.channel
    )
) AS message;
"""


def upgrade() -> None:
    op.execute(SEARCH_KEYS)
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(VIEWS)


def downgrade() -> None:
    raise NotImplementedError("a downgrade would drop every user; restore a backup instead")
