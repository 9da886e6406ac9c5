"""Let the views of the history read all partitions.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The stamp lets Postgres look for the trigger of a row in one partition.
VIEWS = """
-- The actor is a subquery, not a join: Postgres cannot push the key of a join into the UNION ALL of `ownership`, and
-- would read every user.
CREATE OR REPLACE VIEW rollbook.owned_activities AS
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
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id AND trigger.stamp = row.stamp;

CREATE OR REPLACE VIEW rollbook.owned_messages AS
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
    JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id AND trigger.stamp = row.stamp
    WHERE rollbook.is_channel_enabled(
        rollbook.effective_preferences(row.recipient, trigger.tenant, row.stamp),
        trigger.workflow,
        trigger.categories,
        row.channel
    )
) AS message;
"""


def upgrade() -> None:
    op.execute(VIEWS)


def downgrade() -> None:
    raise NotImplementedError("a downgrade would drop every user; restore a backup instead")
