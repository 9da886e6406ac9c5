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
-- The text without regard to case; see `rollbook_shared.domain.search_keys`. Most texts are ASCII. These functions are
-- in PL/pgSQL, because an SQL function would be inlined in a generated column, and evaluate its argument several times.
CREATE FUNCTION rollbook.fold_case(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
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
CREATE FUNCTION rollbook.microseconds(value text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
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
    email_key text COLLATE "C" GENERATED ALWAYS AS (left(lower(
        CASE
            WHEN cluster_root IS NOT NULL THEN resolved_profile ->> 'a.email'
            WHEN first_identified IS NOT NULL THEN profile ->> 'a.email'
        END COLLATE "C"
    ), 200)) STORED,
    name_key text COLLATE "C" GENERATED ALWAYS AS (left(rollbook.fold_case(
        CASE
            WHEN cluster_root IS NOT NULL THEN resolved_profile ->> 'a.name'
            WHEN first_identified IS NOT NULL THEN profile ->> 'a.name'
        END
    ), 200)) STORED,
    phone_key text COLLATE "C" GENERATED ALWAYS AS (
        CASE
            WHEN cluster_root IS NOT NULL THEN resolved_profile ->> 'a.phone_number'
            WHEN first_identified IS NOT NULL THEN profile ->> 'a.phone_number'
        END
    ) STORED,
    created_key bigint GENERATED ALWAYS AS (rollbook.microseconds(
        CASE
            WHEN cluster_root IS NOT NULL THEN resolved_profile ->> 'a.created_at'
            WHEN first_identified IS NOT NULL THEN profile ->> 'a.created_at'
        END
    )) STORED
) WITH (fillfactor = 80);
CREATE INDEX users_cluster_root ON rollbook.users (cluster_root) WHERE cluster_root IS NOT NULL;
CREATE INDEX users_email ON rollbook.users (email_key, id) WHERE email_key IS NOT NULL;
CREATE INDEX users_name ON rollbook.users (name_key, id) WHERE name_key IS NOT NULL;
CREATE INDEX users_phone ON rollbook.users (phone_key, id) WHERE phone_key IS NOT NULL;
CREATE INDEX users_created_at ON rollbook.users (created_key, id) WHERE created_key IS NOT NULL;

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
    data jsonb NOT NULL
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

CREATE TABLE rollbook.jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL,
    occurred_at bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    duplicates integer NOT NULL DEFAULT 0,
    detail jsonb,
    CONSTRAINT jobs_state CHECK (state IN ('applied', 'rejected', 'deferred', 'cancelled'))
);
-- A B-tree although the table grows in time order: its oldest rows are deleted again and again, and new rows reuse
-- their space, so that the ranges of a BRIN index would soon exclude nothing. Partial, because only these rows are
-- pruned: rows that stay for ever would pile up where each search for the oldest begins.
CREATE INDEX jobs_finished_at ON rollbook.jobs (finished_at) WHERE state IN ('applied', 'rejected');
-- For lists of recent jobs. Neither index has an identify that was applied, as most jobs are.
CREATE INDEX jobs_state ON rollbook.jobs (state, finished_at) WHERE state <> 'applied';
CREATE INDEX jobs_kind ON rollbook.jobs (kind, finished_at) WHERE kind <> 'identify';
CREATE INDEX jobs_skipped ON rollbook.jobs USING gin ((detail -> 'skipped')) WHERE detail ? 'skipped';

CREATE TABLE rollbook.dead_letters (
    id text COLLATE "C",
    digest bytea,
    kind text,
    code text NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (id, digest)
);
CREATE INDEX dead_letters_failed_at ON rollbook.dead_letters (failed_at, id, digest);

CREATE TABLE rollbook.deferred_jobs (
    id text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL,
    body text NOT NULL
);
CREATE INDEX deferred_jobs_due_at ON rollbook.deferred_jobs (due_at, id);

CREATE TABLE rollbook.erasure_receipts (
    id_hash bytea,
    stamp text COLLATE "C",
    erased jsonb NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (id_hash, stamp)
);
"""

FUNCTIONS = """
-- The stamp of each key of a profile whose keys all have the same stamp.
CREATE FUNCTION rollbook.uniform_stamps(profile jsonb, stamp text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(key, stamp), '{}') FROM jsonb_object_keys(profile) AS key);
END
$$;

-- The received values that are newer than the stored ones. In PL/pgSQL, because an SQL function that cannot be inlined
-- costs ten times as much a call.
CREATE FUNCTION rollbook.newer_values(
    received jsonb, received_stamps jsonb, received_base text, stored jsonb, stored_stamps jsonb, stored_base text
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
CREATE FUNCTION rollbook.section(profile jsonb, prefix text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(substr(key, 3), value), '{}')
    FROM jsonb_each(profile)
    WHERE left(key, 1) = prefix AND (prefix IN ('a', 'p') OR value <> 'null')
$$;

-- Whether one setting, of a workflow or a category, allows a channel.
CREATE FUNCTION rollbook.setting_allows(setting jsonb, channel text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setting IS NULL
        OR (setting <> 'false' AND (setting -> 'channel_types' ->> channel) IS DISTINCT FROM 'false')
$$;

-- Whether every setting that applies to a message is true or absent. In PL/pgSQL, like `effective_preferences`: both
-- run for every message of a feed, and an SQL function that cannot be inlined costs ten times as much.
CREATE FUNCTION rollbook.is_channel_enabled(settings jsonb, workflow text, categories text[], channel text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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

-- The time that lies this many microseconds after 1970.
CREATE FUNCTION rollbook.from_microseconds(microseconds bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT timestamptz '1970-01-01 00:00:00+00' + microseconds * interval '1 microsecond'
$$;

-- When the job of a stamp occurred.
CREATE FUNCTION rollbook.occurred_at(stamp text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT rollbook.from_microseconds(('x00' || left(stamp, 14))::bit(64)::bigint)
$$;
"""

VIEWS = """
-- The data of each channel that was received under an id, with the push tokens that were added and removed since. The
-- rule is that of `rollbook_shared.domain.push_tokens`.
CREATE FUNCTION rollbook.received_channel_data(of_user text, profile jsonb, key_stamps jsonb, base_stamp text)
RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
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
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
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
) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
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
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(
        single COLLATE "C",
        CASE WHEN of_all COLLATE "C" > message_stamp COLLATE "C" THEN of_all COLLATE "C" END
    )
$$;

-- Whether the state of an engagement says that it is set.
CREATE FUNCTION rollbook.is_engaged(state text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(right(state, 1) = '+', false)
$$;

-- When an engagement was set, by its state; null: it is not set.
CREATE FUNCTION rollbook.engaged_at(state text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN right(state, 1) = '+' THEN rollbook.occurred_at(state) END
$$;

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
