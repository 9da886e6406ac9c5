"""Answer for every job: cancelled ones, outcomes that are forgotten with age, lists of dead and deferred jobs in pages.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = """
ALTER TABLE rollbook.jobs
    ADD CONSTRAINT jobs_state CHECK (state IN ('applied', 'rejected', 'deferred', 'cancelled'));
"""

# A btree although the table grows in time order: its oldest rows are deleted again and again, and new ones fill their
# room, so that the ranges of a BRIN index would soon say nothing. Partial, as only these outcomes are forgotten: rows
# that stay for ever would pile up where each search for the oldest begins.
INDEXES = """
CREATE INDEX jobs_finished_at ON rollbook.jobs (finished_at) WHERE state IN ('applied', 'rejected');

DROP INDEX rollbook.dead_letters_failed_at;
CREATE INDEX dead_letters_failed_at ON rollbook.dead_letters (failed_at, id, digest);

DROP INDEX rollbook.deferred_due_at;
CREATE INDEX deferred_due_at ON rollbook.deferred (due_at, id);
"""


def upgrade() -> None:
    op.execute(STATES)
    op.execute(INDEXES)


def downgrade() -> None:
    raise NotImplementedError("there is nothing to go back for; restore a backup instead")
