"""Partition triggers, activities and messages by their stamp.

Each table becomes the first partition of a new one of its name, for all stamps: no row is read or moved. Maintenance
cuts the last partition where a month begins, and drops the oldest, once `ROLLBOOK_MESSAGE_RETENTION_DAYS` is set.

The views still read the first partitions, which have every row until then. The next migration changes them: a reader
locks a view before its tables, so to lock both here could end in a deadlock.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

contracts = "RENAME: a table of each name stays, with the rows, the columns and the rights; DROP: months of history"
"""Why a worker of the release before goes on."""

TABLES = ("triggers", "activities", "messages")
"""In the order in which a worker's transaction locks them."""

# Readers lock the same tables in another order. This one gives up before Postgres looks for a deadlock, which it might
# solve by ending a reader.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'"

LOCK = "LOCK TABLE rollbook.triggers, rollbook.activities, rollbook.messages IN ACCESS EXCLUSIVE MODE"

# A key of a partitioned table must contain the stamp, so each partition has a key of its own. That is enough: all rows
# of a job have one stamp, and so lie in one partition. A new partition is made like the last one, with its indexes.
PARTITION = """
ALTER TABLE rollbook.{table} RENAME TO {table}_first;
CREATE TABLE rollbook.{table} (LIKE rollbook.{table}_first INCLUDING DEFAULTS) PARTITION BY RANGE (stamp);
ALTER TABLE rollbook.{table} ATTACH PARTITION rollbook.{table}_first FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT acl.privilege_type AS privilege, coalesce(quote_ident(role.rolname), 'PUBLIC') AS grantee
        FROM pg_class AS first
        CROSS JOIN LATERAL aclexplode(first.relacl) AS acl
        LEFT JOIN pg_roles AS role ON role.oid = acl.grantee
        WHERE first.oid = 'rollbook.{table}_first'::regclass
            AND acl.grantee <> first.relowner
    LOOP
        EXECUTE format('GRANT %s ON rollbook.{table} TO %s', granted.privilege, granted.grantee);
    END LOOP;
END
$$;
"""

# The functions change tables with the rights of their owner: maintenance has none to do so.
FUNCTIONS = """
-- The partitions of the history: the stamps of each, from the first to before the last; `~` sorts after every stamp.
CREATE FUNCTION rollbook.history_months() RETURNS TABLE (of_table text, month text, valid_from text, valid_to text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        parent.relname::text,
        leaf.relname::text,
        coalesce(substring(bound.text FROM 'FROM \\(''([^'']*)''\\)'), ''),
        coalesce(substring(bound.text FROM 'TO \\(''([^'']*)''\\)'), '~')
    FROM pg_class AS parent
    JOIN pg_inherits AS inherits ON inherits.inhparent = parent.oid
    JOIN pg_class AS leaf ON leaf.oid = inherits.inhrelid
    CROSS JOIN LATERAL (SELECT pg_get_expr(leaf.relpartbound, leaf.oid) AS text) AS bound
    WHERE parent.oid IN (
        'rollbook.triggers'::regclass, 'rollbook.activities'::regclass, 'rollbook.messages'::regclass
    )
$$;

-- The stamp from which on there is a partition for everything; what is older was dropped.
CREATE FUNCTION rollbook.history_start() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(first.valid_from COLLATE "C")
    FROM (
        SELECT min(month.valid_from COLLATE "C") AS valid_from
        FROM rollbook.history_months() AS month
        GROUP BY month.of_table
    ) AS first
$$;

-- Take one step to let the last partition of a table end before a stamp, later than all that it has, and a new one
-- begin there; return whether there are more. A step locks the table for no longer than a change of the catalog takes.
-- That the rows of a large partition lie before the stamp is checked without a lock, so it takes three steps: the
-- condition for new rows, the check of all rows, and the cut.
CREATE FUNCTION rollbook.cut_history(of_table text, at_stamp text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    condition constant text := 'ends_at_' || at_stamp;
    is_small boolean;
    is_checked boolean;
    other text;
    last record;
    next text;
BEGIN
    IF at_stamp !~ '^[0-9a-f]{14}$' THEN
        RAISE EXCEPTION 'a partition cannot end at this stamp';
    END IF;
    SELECT month.month, month.valid_from, format('rollbook.%I', month.month) AS name
    INTO STRICT last
    FROM rollbook.history_months() AS month
    WHERE month.of_table = cut_history.of_table AND month.valid_to = '~';
    IF last.valid_from COLLATE "C" >= at_stamp COLLATE "C" THEN
        RETURN false;
    END IF;
    is_small := pg_relation_size(last.name::regclass) < 1024 * 1024;
    SELECT c.convalidated
    INTO is_checked
    FROM pg_constraint AS c
    WHERE c.conrelid = last.name::regclass AND c.conname = condition;
    IF is_small OR is_checked THEN  -- the table is locked before its partition, as every other transaction does it
        EXECUTE format('LOCK TABLE rollbook.%I IN ACCESS EXCLUSIVE MODE', of_table);
    END IF;
    IF is_checked IS NULL THEN
        FOR other IN  -- of a cut that was not completed, which must not stop what comes later
            SELECT c.conname
            FROM pg_constraint AS c
            WHERE c.conrelid = last.name::regclass AND starts_with(c.conname, 'ends_at_')
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', last.name, other);
        END LOOP;
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT %I CHECK (stamp >= %L AND stamp < %L) NOT VALID',
            last.name, condition, last.valid_from, at_stamp
        );
        IF NOT is_small THEN
            RETURN true;
        END IF;
    END IF;
    IF is_checked IS NOT true THEN
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', last.name, condition);
        IF NOT is_small THEN
            RETURN true;
        END IF;
    END IF;
    next := format(
        'rollbook.%I', of_table || '_' || to_char(rollbook.occurred_at(at_stamp) AT TIME ZONE 'UTC', 'YYYY_MM')
    );
    EXECUTE format('ALTER TABLE rollbook.%I DETACH PARTITION %s', of_table, last.name);
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING CONSTRAINTS)', next, last.name);
    EXECUTE format(
        'ALTER TABLE rollbook.%I ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%L)',
        of_table, last.name, CASE WHEN last.valid_from = '' THEN 'MINVALUE' ELSE quote_literal(last.valid_from) END,
        at_stamp
    );
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', last.name, condition);
    EXECUTE format(
        'ALTER TABLE rollbook.%I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (MAXVALUE)', of_table, next, at_stamp
    );
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION rollbook.cut_history(text, text) FROM PUBLIC;

-- Drop the oldest partition of a table that ends before a stamp; return its name, or null if there is none.
CREATE FUNCTION rollbook.drop_history(of_table text, before text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest text;
BEGIN
    SELECT month.month
    INTO oldest
    FROM rollbook.history_months() AS month
    WHERE month.of_table = drop_history.of_table AND month.valid_to COLLATE "C" <= before COLLATE "C"
    ORDER BY month.valid_to COLLATE "C"
    LIMIT 1;
    IF oldest IS NOT NULL THEN
        EXECUTE format('DROP TABLE rollbook.%I', oldest);
    END IF;
    RETURN oldest;
END
$$;
REVOKE ALL ON FUNCTION rollbook.drop_history(text, text) FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    op.execute(LOCK)
    for table in TABLES:
        op.execute(PARTITION.format(table=table))
    op.execute(FUNCTIONS)


def downgrade() -> None:
    raise NotImplementedError("a downgrade would drop every user; restore a backup instead")
