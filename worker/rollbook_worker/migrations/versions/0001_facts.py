"""Create the tables for facts, history and outcomes, and the views that people read.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE rollbook.users (
    id text COLLATE "C" PRIMARY KEY,
    family text COLLATE "C",
    goes_to text COLLATE "C",
    shown jsonb,
    shown_at text COLLATE "C",
    data jsonb NOT NULL,
    stamps jsonb NOT NULL,
    since text COLLATE "C",
    last text COLLATE "C",
    first text COLLATE "C",
    seen text COLLATE "C" NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX users_family ON rollbook.users (family) WHERE family IS NOT NULL;

CREATE TABLE rollbook.sightings (
    user_id text COLLATE "C",
    last text COLLATE "C",
    seen text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, last)
);

CREATE TABLE rollbook.choices (
    user_id text COLLATE "C",
    set_id text COLLATE "C",
    stamp text COLLATE "C",
    settings jsonb,
    PRIMARY KEY (user_id, set_id, stamp)
);

CREATE TABLE rollbook.family_choices (
    name text COLLATE "C",
    set_id text COLLATE "C",
    since text COLLATE "C",
    settings jsonb,
    PRIMARY KEY (name, set_id, since)
);

CREATE TABLE rollbook.endings (
    stamp text COLLATE "C" PRIMARY KEY,
    ended text COLLATE "C" NOT NULL,
    primary_id text COLLATE "C",
    keep_opt_outs boolean NOT NULL,
    merge_tokens boolean NOT NULL
);
CREATE INDEX endings_deleted ON rollbook.endings (stamp) WHERE primary_id IS NULL;
CREATE INDEX endings_ended ON rollbook.endings (ended);
CREATE INDEX endings_primary ON rollbook.endings (primary_id) WHERE primary_id IS NOT NULL;

CREATE TABLE rollbook.spans (
    name text COLLATE "C",
    since text COLLATE "C",
    until text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    known boolean NOT NULL,
    PRIMARY KEY (name, since)
);
CREATE INDEX spans_owner ON rollbook.spans (owner) WHERE owner IS NOT NULL;
CREATE INDEX spans_nobody ON rollbook.spans (name, since) WHERE owner IS NULL;

CREATE TABLE rollbook.triggers (
    job_id text COLLATE "C" PRIMARY KEY,
    stamp text COLLATE "C" NOT NULL,
    workflow text NOT NULL,
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

CREATE TABLE rollbook.marks (
    message_id uuid,
    mark text,
    stamp text COLLATE "C" NOT NULL,
    is_set integer NOT NULL,
    PRIMARY KEY (message_id, mark)
);

CREATE TABLE rollbook.jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL,
    occurred_at bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    duplicates integer NOT NULL DEFAULT 0,
    detail jsonb
);
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
CREATE INDEX dead_letters_failed_at ON rollbook.dead_letters (failed_at);

CREATE TABLE rollbook.deferred (
    id text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL,
    body text NOT NULL
);
CREATE INDEX deferred_due_at ON rollbook.deferred (due_at);

CREATE TABLE rollbook.receipts (
    id_hash bytea,
    stamp text COLLATE "C",
    erased jsonb NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (id_hash, stamp)
);
"""

FUNCTIONS = """
-- When each of these keys was told, where all were at once.
CREATE FUNCTION rollbook.stamped(told jsonb, told_at text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(key, told_at), '{}') FROM jsonb_object_keys(told) AS key);
END
$$;

-- Of what was told, what is newer than what is known. In PL/pgSQL, for a function in SQL that cannot be inlined costs
-- ten times as much a call.
CREATE FUNCTION rollbook.newer_values(
    told jsonb, told_stamps jsonb, told_since text, known jsonb, known_stamps jsonb, known_since text
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM jsonb_each(told)
        WHERE coalesce(known_stamps ->> key, CASE WHEN known ? key THEN known_since ELSE '' END) COLLATE "C"
            < coalesce(told_stamps ->> key, told_since) COLLATE "C"
    );
END
$$;

-- The same, and when it was told.
CREATE FUNCTION rollbook.newer_stamps(
    told jsonb, told_stamps jsonb, told_since text, known jsonb, known_stamps jsonb, known_since text
) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(key, coalesce(told_stamps ->> key, told_since)), '{}')
        FROM jsonb_object_keys(told) AS key
        WHERE coalesce(known_stamps ->> key, CASE WHEN known ? key THEN known_since ELSE '' END) COLLATE "C"
            < coalesce(told_stamps ->> key, told_since) COLLATE "C"
    );
END
$$;

-- One section of stored data, without its letter; a null in preferences or channel data means that the key was taken
-- away.
CREATE FUNCTION rollbook.section(data jsonb, letter text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(substr(key, 3), value), '{}')
    FROM jsonb_each(data)
    WHERE left(key, 1) = letter AND (letter IN ('a', 'p') OR value <> 'null')
$$;

-- Whether one setting of a workflow or category lets a message through on a channel.
CREATE FUNCTION rollbook.lets_through(setting jsonb, channel text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setting IS NULL
        OR (setting <> 'false' AND (setting -> 'channel_types' ->> channel) IS DISTINCT FROM 'false')
$$;

-- Whether every setting that applies to a message is true or absent. In PL/pgSQL, like `wanted`: both are asked for
-- every message of a feed, and a function in SQL that cannot be inlined costs ten times as much.
CREATE FUNCTION rollbook.allowed(settings jsonb, workflow text, categories text[], channel text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
        IF NOT rollbook.lets_through(settings -> 'categories' -> category, channel) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN rollbook.lets_through(settings -> 'workflows' -> workflow, channel);
END
$$;

-- The moment that lies so many microseconds after 1970.
CREATE FUNCTION rollbook.instant(microseconds bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT timestamptz '1970-01-01 00:00:00+00' + microseconds * interval '1 microsecond'
$$;

-- When a stamp's job happened.
CREATE FUNCTION rollbook.moment(stamp text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT rollbook.instant(('x00' || left(stamp, 14))::bit(64)::bigint)
$$;
"""

VIEWS = """
CREATE VIEW rollbook.current_users AS
SELECT
    id,
    data,
    data ->> 'a.email' AS email,
    data ->> 'a.name' AS name,
    data ->> 'a.avatar' AS avatar,
    data ->> 'a.phone_number' AS phone_number,
    data ->> 'a.locale' AS locale,
    data ->> 'a.timezone' AS timezone,
    data ->> 'a.created_at' AS created_at,
    rollbook.section(data, 'p') AS properties,
    rollbook.section(data, 's') AS preferences,
    rollbook.section(data, 'c') AS channel_data,
    rollbook.moment(updated) AS updated_at,
    updated
FROM (
    SELECT
        id,
        CASE WHEN family IS NULL THEN data ELSE shown END AS data,
        CASE WHEN family IS NULL THEN last ELSE shown_at END AS updated
    FROM rollbook.users
    WHERE CASE WHEN family IS NULL THEN first IS NOT NULL ELSE shown IS NOT NULL END
) AS person;

CREATE VIEW rollbook.merged_users AS
SELECT id, goes_to AS merged_into
FROM rollbook.users
WHERE goes_to IS NOT NULL;

-- Who owns what was addressed to each id, and when: one endless span from its first sighting for an id that no merge
-- or delete names.
CREATE VIEW rollbook.ownership AS
SELECT id AS name, first AS since, '~' COLLATE "C" AS until, id AS owner
FROM rollbook.users
WHERE family IS NULL AND first IS NOT NULL
UNION ALL
SELECT name, since, until, owner
FROM rollbook.spans
WHERE owner IS NOT NULL;

-- What whoever an id stood for wanted to hear of, and since when: told under the id, or seen by the family.
CREATE VIEW rollbook.wishes AS
SELECT choice.user_id AS name, choice.set_id, choice.stamp AS since, choice.settings
FROM rollbook.choices AS choice
JOIN rollbook.users AS u ON u.id = choice.user_id AND u.family IS NULL
UNION ALL
SELECT name, set_id, since, settings
FROM rollbook.family_choices;

-- The settings that applied to what was addressed to an id: the tenant's set where there was one, else the default.
CREATE FUNCTION rollbook.wanted(addressed text, for_tenant text, at text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found jsonb;
BEGIN
    IF for_tenant IS NOT NULL THEN
        SELECT settings
        INTO found
        FROM rollbook.wishes
        WHERE name = addressed AND set_id = for_tenant AND since <= at COLLATE "C"
        ORDER BY since DESC
        LIMIT 1;
    END IF;
    IF found IS NULL THEN
        SELECT settings
        INTO found
        FROM rollbook.wishes
        WHERE name = addressed AND set_id = 'default' AND since <= at COLLATE "C"
        ORDER BY since DESC
        LIMIT 1;
    END IF;
    RETURN found;
END
$$;

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
    (trigger.actor IS NOT NULL)::integer AS had_actor,
    act.owner AS actor,
    rollbook.moment(row.stamp) AS occurred_at
FROM rollbook.activities AS row
JOIN rollbook.ownership AS own
    ON own.name = row.recipient AND row.stamp >= own.since AND row.stamp < own.until
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
LEFT JOIN rollbook.ownership AS act
    ON act.name = trigger.actor AND row.stamp >= act.since AND row.stamp < act.until;

CREATE VIEW rollbook.owned_messages AS
SELECT
    row.id,
    row.job_id,
    row.stamp,
    own.owner,
    row.recipient,
    trigger.workflow,
    trigger.tenant,
    trigger.data,
    (trigger.actor IS NOT NULL)::integer AS had_actor,
    act.owner AS actor,
    rollbook.moment(row.stamp) AS occurred_at,
    row.channel,
    coalesce(seen.is_set, 0) AS seen,
    coalesce(read.is_set, 0) AS read,
    coalesce(archived.is_set, 0) AS archived
FROM rollbook.messages AS row
JOIN rollbook.ownership AS own
    ON own.name = row.recipient AND row.stamp >= own.since AND row.stamp < own.until
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
LEFT JOIN rollbook.ownership AS act
    ON act.name = trigger.actor AND row.stamp >= act.since AND row.stamp < act.until
LEFT JOIN rollbook.marks AS seen ON seen.message_id = row.id AND seen.mark = 'seen'
LEFT JOIN rollbook.marks AS read ON read.message_id = row.id AND read.mark = 'read'
LEFT JOIN rollbook.marks AS archived ON archived.message_id = row.id AND archived.mark = 'archived'
WHERE rollbook.allowed(
    rollbook.wanted(row.recipient, trigger.tenant, row.stamp), trigger.workflow, trigger.categories, row.channel
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(VIEWS)


def downgrade() -> None:
    raise NotImplementedError("going back would drop every user; restore a backup instead")
