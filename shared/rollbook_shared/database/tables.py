"""The tables in Postgres, as SQLAlchemy metadata. The migrations are the schema; a test holds the two together.

All lives in a Postgres schema of its own, `rollbook`, so that it can share a database with the application. Stamps
and ids are compared byte by byte (collation "C"), as the fold does.

`users` holds what was told under each id (the newest value per key), never what a merge made of it. `data` is flat:
its keys are a section's letter, a dot, and the name (`a.email`, `p.plan`, `s.default`, `c.apns`). `since` is the
stamp of every key that has none of its own in `stamps`. An id that no merge or delete ever named has no `family`, and
is shown as `data` says. The ids that merges hang together are a family, named for its smallest id; for them `shown`
is the person as seen now, written by whoever changes the family.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

SCHEMA: Final = "rollbook"
metadata: Final = MetaData(schema=SCHEMA)
views: Final = MetaData(schema=SCHEMA)


def _bytewise() -> Text:
    return Text(collation="C")


users: Final = Table(
    "users",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("family", _bytewise(), comment="smallest id of the family; null: no merge or delete names this id"),
    Column("goes_to", _bytewise(), comment="in a family: the id that this merged-away id stands for"),
    Column("shown", JSONB, comment="in a family: the person as seen now; null: none"),
    Column("shown_at", _bytewise(), comment="in a family: stamp of the newest change to the person"),
    # what changes least comes first: of an update that stays on its page, the WAL holds what is between the first byte
    # that changed and the last
    Column("data", JSONB, nullable=False, comment="newest value per key told under this id"),
    Column("stamps", JSONB, nullable=False, comment="key to stamp, for those that have one of their own"),
    Column("since", _bytewise(), comment="stamp of every other key of data"),
    Column("last", _bytewise(), comment="newest stamp told"),
    Column("first", _bytewise(), comment="earliest sighting; null: only named by a merge or delete"),
    Column("seen", _bytewise(), nullable=False, comment="further sightings, a space behind each"),
    postgresql_with={"fillfactor": 80},
)
Index("users_family", users.c.family, postgresql_where=users.c.family.is_not(None))

sightings: Final = Table(
    "sightings",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("last", _bytewise(), primary_key=True, comment="the newest of the list"),
    Column("seen", _bytewise(), nullable=False, comment="sightings, a space behind each"),
    comment="when a user was told of, beside users.first and users.seen; says who was known when a trigger ran",
)

choices: Final = Table(
    "choices",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("set_id", _bytewise(), primary_key=True),
    Column("stamp", _bytewise(), primary_key=True),
    Column("settings", JSONB(none_as_null=True), comment="null: the set was taken away"),
    comment="every preference set told; says what was wanted when a trigger ran",
)

family_choices: Final = Table(
    "family_choices",
    metadata,
    Column("name", _bytewise(), primary_key=True, comment="an id of a family"),
    Column("set_id", _bytewise(), primary_key=True),
    Column("since", _bytewise(), primary_key=True),
    Column("settings", JSONB(none_as_null=True), comment="null: no such set"),
    comment="the same for the ids of families, as the family sees it",
)

endings: Final = Table(
    "endings",
    metadata,
    Column("stamp", _bytewise(), primary_key=True),
    Column("ended", _bytewise(), nullable=False, comment="the deleted user, or the secondary of a merge"),
    Column("primary_id", _bytewise(), comment="the primary of a merge; null: a delete"),
    Column("keep_opt_outs", Boolean, nullable=False),
    Column("merge_tokens", Boolean, nullable=False),
    comment="every merge and delete, kept",
)
Index("endings_deleted", endings.c.stamp, postgresql_where=endings.c.primary_id.is_(None))
Index("endings_ended", endings.c.ended)
Index("endings_primary", endings.c.primary_id, postgresql_where=endings.c.primary_id.is_not(None))

spans: Final = Table(
    "spans",
    metadata,
    Column("name", _bytewise(), primary_key=True, comment="an id of a family"),
    Column("since", _bytewise(), primary_key=True),
    Column("until", _bytewise(), nullable=False, comment="~ is after every stamp"),
    Column("owner", _bytewise(), comment="who owns what was addressed to the name in this span; null: nobody"),
    Column("known", Boolean, nullable=False, comment="whether the name stood for somebody then"),
    comment="ownership of history, so that a merge moves no rows",
)
Index("spans_owner", spans.c.owner, postgresql_where=spans.c.owner.is_not(None))
Index("spans_nobody", spans.c.name, spans.c.since, postgresql_where=spans.c.owner.is_(None))

triggers: Final = Table(
    "triggers",
    metadata,
    Column("job_id", _bytewise(), primary_key=True),
    Column("stamp", _bytewise(), nullable=False),
    Column("workflow", Text, nullable=False),
    Column("actor", _bytewise()),
    Column("tenant", Text),
    Column("categories", ARRAY(Text), nullable=False),
    Column("data", JSONB, nullable=False),
    comment="what all activities and messages of one trigger share",
)
Index("triggers_actor", triggers.c.actor, triggers.c.stamp, postgresql_where=triggers.c.actor.is_not(None))

activities: Final = Table(
    "activities",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", _bytewise(), nullable=False),
    Column("stamp", _bytewise(), nullable=False),
    Column("recipient", _bytewise(), nullable=False, comment="the id as addressed; never rewritten"),
)
Index("activities_recipient", activities.c.recipient, activities.c.stamp)
Index("activities_job", activities.c.job_id)

messages: Final = Table(
    "messages",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", _bytewise(), nullable=False),
    Column("stamp", _bytewise(), nullable=False),
    Column("recipient", _bytewise(), nullable=False, comment="the id as addressed; never rewritten"),
    Column("channel", Text, nullable=False),
)
Index("messages_recipient", messages.c.recipient, messages.c.stamp)
Index("messages_job", messages.c.job_id)

marks: Final = Table(
    "marks",
    metadata,
    Column("message_id", UUID(as_uuid=True), primary_key=True),
    Column("mark", Text, primary_key=True, comment="seen, read or archived"),
    Column("stamp", _bytewise(), nullable=False),
    Column("is_set", Integer, nullable=False, comment="1: set, 0: cleared again"),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="what tells a duplicate from another job under the same id"),
    Column("state", Text, nullable=False, comment="applied, rejected, deferred or cancelled"),
    Column("occurred_at", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("duplicates", Integer, nullable=False, server_default=text("0")),
    Column("detail", JSONB, comment="counts and rejected users of a bulk job, skipped recipients of a trigger"),
    CheckConstraint("state IN ('applied', 'rejected', 'deferred', 'cancelled')", name="jobs_state"),
    comment="how each job ended",
)
Index("jobs_finished_at", jobs.c.finished_at, postgresql_where=jobs.c.state.in_(["applied", "rejected"]))
Index(
    "jobs_skipped",
    jobs.c.detail["skipped"],
    postgresql_using="gin",
    postgresql_where=jobs.c.detail.has_key("skipped"),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("id", _bytewise(), primary_key=True, comment="the job's id, or one made from the digest where it has none"),
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Text),
    Column(
        "code",
        Text,
        nullable=False,
        comment="malformed, unknown_version, unknown_kind, invalid, id_reused, unstorable, failed",
    ),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the message as it came"),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    comment="jobs that cannot be applied as they stand",
)
Index("dead_letters_failed_at", dead_letters.c.failed_at, dead_letters.c.id, dead_letters.c.digest)

deferred: Final = Table(
    "deferred",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False, comment="the encoded job"),
    comment="jobs that are to take effect later, until then",
)
Index("deferred_due_at", deferred.c.due_at, deferred.c.id)

receipts: Final = Table(
    "receipts",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True, comment="keyed hash of the erased id"),
    Column("stamp", _bytewise(), primary_key=True, comment="stamp of the delete"),
    Column("erased", JSONB, nullable=False, comment="rows erased per table"),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    comment="that a deleted user was erased, without saying who",
)

current_users: Final = Table(
    "current_users",
    views,
    Column("id", _bytewise(), primary_key=True),
    Column("data", JSONB, comment="flat, keys with their section's letter"),
    Column("email", Text),
    Column("name", Text),
    Column("avatar", Text),
    Column("phone_number", Text),
    Column("locale", Text),
    Column("timezone", Text),
    Column("created_at", Text),
    Column("properties", JSONB),
    Column("preferences", JSONB),
    Column("channel_data", JSONB),
    Column("updated_at", DateTime(timezone=True)),
    Column("updated", _bytewise(), comment="stamp of the newest change"),
)
"""Who is a user now: neither deleted nor merged away."""

merged_users: Final = Table(
    "merged_users",
    views,
    Column("id", _bytewise(), primary_key=True),
    Column("merged_into", _bytewise()),
)
"""The ids that stand for another user."""

owned_activities: Final = Table(
    "owned_activities",
    views,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", _bytewise()),
    Column("stamp", _bytewise()),
    Column("owner", _bytewise(), comment="the user whose activity it is now"),
    Column("recipient", _bytewise(), comment="the id as addressed"),
    Column("workflow", Text),
    Column("tenant", Text),
    Column("data", JSONB),
    Column("had_actor", Integer, comment="1: an actor was named, so that a null actor means a missing user"),
    Column("actor", _bytewise(), comment="the user who is the actor now; null: none or missing"),
    Column("occurred_at", DateTime(timezone=True)),
)
"""The activities that belong to a user now."""

owned_messages: Final = Table(
    "owned_messages",
    views,
    *(Column(column.name, column.type, primary_key=column.primary_key) for column in owned_activities.c),
    Column("channel", Text),
    Column("seen", Integer),
    Column("read", Integer),
    Column("archived", Integer),
)
"""The messages that belong to a user now, with their marks (0 or 1)."""
