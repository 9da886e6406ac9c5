"""The tables in Postgres, as SQLAlchemy metadata. The migrations are the schema; a test compares the two.

All tables live in a Postgres schema of their own, `rollbook`, so that Rollbook can share a database with the
application. Stamps and ids are compared byte by byte (collation "C"), as the core compares them.

`users` keeps what was received under each id (the newest value per key), never the result of a merge. A profile is
flat: each key is a section's prefix, a dot, and the name (`a.email`, `p.plan`, `c.apns`; and in a resolved profile
`s.default`: preference sets are received in a table of their own). `base_stamp`
is the stamp of every key that has none of its own in `key_stamps`. An id that no merge or delete names has no
`cluster_root`, and readers see its `profile`. The ids that merges have joined are a cluster, named for its smallest id,
the root; for these ids readers see `resolved_profile`, which the transaction that changes the cluster writes.

`~` sorts after every stamp. It ends the ownership periods that have no end, because text has no `infinity`: with a null
every comparison of a stamp with a period, and so every index range over a period, would need a `coalesce`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
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


def _attribute(name: str) -> str:
    """SQL for an attribute as readers see it; null where no user exists."""
    return (
        f"CASE WHEN cluster_root IS NOT NULL THEN resolved_profile ->> 'a.{name}'"
        f" WHEN first_identified IS NOT NULL THEN profile ->> 'a.{name}' END"
    )


users: Final = Table(
    "users",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("cluster_root", _bytewise(), comment="smallest id of the cluster; null: no merge or delete names this id"),
    Column("canonical_id", _bytewise(), comment="in a cluster: the id that this merged-away id stands for"),
    Column("resolved_profile", JSONB, comment="in a cluster: the user as readers see it; null: no user"),
    Column("resolved_stamp", _bytewise(), comment="in a cluster: stamp of the newest change to the resolved profile"),
    # what changes least comes first: of an update that stays on its page, the WAL holds what is between the first byte
    # that changed and the last
    Column("profile", JSONB, nullable=False, comment="newest value per key received under this id"),
    Column("key_stamps", JSONB, nullable=False, comment="key to stamp, for keys that have a stamp of their own"),
    Column("base_stamp", _bytewise(), comment="stamp of every other key of the profile"),
    Column("last_stamp", _bytewise(), comment="newest stamp received"),
    Column("first_identified", _bytewise(), comment="first identify; null: only named by a merge or delete"),
    Column("identify_stamps", _bytewise(), nullable=False, comment="further identifies, a space after each"),
    # An update that changes none of these keys stays HOT although it changes the profile: Postgres compares the values
    # of indexed columns, but not of indexed expressions.
    Column(
        "email_key",
        _bytewise(),
        Computed(f'left(lower({_attribute("email")} COLLATE "C"), 200)', persisted=True),
        comment="the e-mail address without regard to case",
    ),
    Column(
        "name_key",
        _bytewise(),
        Computed(f"left(rollbook.fold_case({_attribute('name')}), 200)", persisted=True),
        comment="the name without regard to case",
    ),
    Column("phone_key", _bytewise(), Computed(_attribute("phone_number"), persisted=True)),
    Column(
        "created_key",
        BigInteger,
        Computed(f"rollbook.microseconds({_attribute('created_at')})", persisted=True),
        comment="the attribute created_at, in microseconds since 1970",
    ),
    postgresql_with={"fillfactor": 80},
)
Index("users_cluster_root", users.c.cluster_root, postgresql_where=users.c.cluster_root.is_not(None))
Index("users_email", users.c.email_key, users.c.id, postgresql_where=users.c.email_key.is_not(None))
Index("users_name", users.c.name_key, users.c.id, postgresql_where=users.c.name_key.is_not(None))
Index("users_phone", users.c.phone_key, users.c.id, postgresql_where=users.c.phone_key.is_not(None))
Index("users_created_at", users.c.created_key, users.c.id, postgresql_where=users.c.created_key.is_not(None))

identify_log: Final = Table(
    "identify_log",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("last_stamp", _bytewise(), primary_key=True, comment="the newest of the list"),
    Column("identify_stamps", _bytewise(), nullable=False, comment="stamps, a space after each"),
    comment="when an id was identified, besides what its row in users lists; says who existed when a trigger ran",
)

preference_set_versions: Final = Table(
    "preference_set_versions",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("set_id", _bytewise(), primary_key=True),
    Column("stamp", _bytewise(), primary_key=True),
    Column("settings", JSONB(none_as_null=True), comment="what applied from the stamp on; null: the set was removed"),
    Column("changes", JSONB(none_as_null=True), comment="the keys that the job changed; null: it replaced the set"),
    comment="every version received of a preference set; says which applied when a trigger ran",
)

resolved_preference_sets: Final = Table(
    "resolved_preference_sets",
    metadata,
    Column("user_id", _bytewise(), primary_key=True, comment="an id of a cluster"),
    Column("set_id", _bytewise(), primary_key=True),
    Column("valid_from", _bytewise(), primary_key=True),
    Column("settings", JSONB(none_as_null=True), comment="null: no such set"),
    comment="the same for the ids of clusters, after their merges and deletes",
)

push_token_changes: Final = Table(
    "push_token_changes",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("channel_id", _bytewise(), primary_key=True),
    Column("stamp", _bytewise(), primary_key=True),
    Column("token", Text, nullable=False),
    Column("device", JSONB(none_as_null=True), comment="locale and timezone of the device that has the token"),
    Column("is_added", Boolean, nullable=False, comment="false: removed"),
    comment="push tokens that were added and removed one by one; the profile has the data that was set whole",
)

lifecycle_events: Final = Table(
    "lifecycle_events",
    metadata,
    Column("stamp", _bytewise(), primary_key=True),
    Column("user_id", _bytewise(), nullable=False, comment="the deleted user, or the secondary of a merge"),
    Column("primary_id", _bytewise(), comment="the primary of a merge; null: a delete"),
    Column("keep_opt_outs", Boolean, nullable=False),
    Column("merge_tokens", Boolean, nullable=False),
    comment="every delete and merge, kept",
)
Index("lifecycle_events_deletes", lifecycle_events.c.stamp, postgresql_where=lifecycle_events.c.primary_id.is_(None))
Index("lifecycle_events_user", lifecycle_events.c.user_id)
Index(
    "lifecycle_events_primary",
    lifecycle_events.c.primary_id,
    postgresql_where=lifecycle_events.c.primary_id.is_not(None),
)

ownership_periods: Final = Table(
    "ownership_periods",
    metadata,
    Column("user_id", _bytewise(), primary_key=True, comment="an id of a cluster"),
    Column("valid_from", _bytewise(), primary_key=True),
    Column("valid_to", _bytewise(), nullable=False, comment="exclusive; ~ is after every stamp"),
    Column("owner", _bytewise(), comment="who owns what was addressed to the id in this period; null: no user"),
    Column("existed", Boolean, nullable=False, comment="whether the id stood for a user then"),
    comment="ownership of history, so that a merge moves no rows",
)
Index("ownership_periods_owner", ownership_periods.c.owner, postgresql_where=ownership_periods.c.owner.is_not(None))
Index(
    "ownership_periods_unowned",
    ownership_periods.c.user_id,
    ownership_periods.c.valid_from,
    postgresql_where=ownership_periods.c.owner.is_(None),
)

triggers: Final = Table(
    "triggers",
    metadata,
    Column("job_id", _bytewise(), primary_key=True),
    Column("stamp", _bytewise(), nullable=False),
    Column("workflow", Text, nullable=False),
    Column("had_actor", Boolean, nullable=False, comment="whether an actor was named"),
    Column("actor", _bytewise(), comment="the id as named; null: none was named, or it was erased"),
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

engagements: Final = Table(
    "engagements",
    metadata,
    Column("message_id", UUID(as_uuid=True), primary_key=True),
    Column("engagement", Text, primary_key=True, comment="seen, read, interacted or archived"),
    Column(
        "user_id",
        _bytewise(),
        primary_key=True,
        server_default=text("''"),
        comment="counts for messages of the user that this id stood for; empty: for any message",
    ),
    Column("stamp", _bytewise(), nullable=False),
    Column("is_set", Boolean, nullable=False, comment="false: cleared again"),
)
Index(
    "engagements_user",
    engagements.c.user_id,
    engagements.c.stamp,
    postgresql_where=engagements.c.user_id != text("''"),
)

channel_engagements: Final = Table(
    "channel_engagements",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("engagement", Text, primary_key=True, comment="seen, read, interacted or archived"),
    Column("stamp", _bytewise(), nullable=False),
    Column("is_set", Boolean, nullable=False, comment="false: cleared again"),
    comment="engagement with all messages that a user had on a channel by then",
)

resolved_channel_engagements: Final = Table(
    "resolved_channel_engagements",
    metadata,
    Column("user_id", _bytewise(), primary_key=True, comment="an id of a cluster"),
    Column("channel", Text, primary_key=True),
    Column("engagement", Text, primary_key=True),
    Column("stamp", _bytewise(), nullable=False),
    Column("is_set", Boolean, nullable=False),
    comment="the same for the ids of clusters, after their merges and deletes",
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="distinguishes a duplicate from another job with this id"),
    Column("state", Text, nullable=False, comment="applied, rejected, deferred or cancelled"),
    Column("occurred_at", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("finished_at", DateTime(timezone=True), nullable=False),
    Column("duplicates", Integer, nullable=False, server_default=text("0")),
    Column("detail", JSONB, comment="counts and rejected users of a bulk job, skipped recipients of a trigger"),
    CheckConstraint("state IN ('applied', 'rejected', 'deferred', 'cancelled')", name="jobs_state"),
    comment="the state of each job",
)
Index("jobs_finished_at", jobs.c.finished_at, postgresql_where=jobs.c.state.in_(["applied", "rejected"]))
Index("jobs_state", jobs.c.state, jobs.c.finished_at, postgresql_where=jobs.c.state != "applied")
Index("jobs_kind", jobs.c.kind, jobs.c.finished_at, postgresql_where=jobs.c.kind != "identify")
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
    Column("code", Text, nullable=False, comment="one of DeadLetterCode"),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the message as it came"),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    comment="jobs that cannot be applied as they stand",
)
Index("dead_letters_failed_at", dead_letters.c.failed_at, dead_letters.c.id, dead_letters.c.digest)

deferred_jobs: Final = Table(
    "deferred_jobs",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False, comment="the encoded job"),
    comment="jobs that take effect at a later time, until then",
)
Index("deferred_jobs_due_at", deferred_jobs.c.due_at, deferred_jobs.c.id)

erasure_receipts: Final = Table(
    "erasure_receipts",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True, comment="keyed hash of the erased id"),
    Column("stamp", _bytewise(), primary_key=True, comment="stamp of the delete"),
    Column("erased", JSONB, nullable=False, comment="rows erased per table"),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    comment="that a deleted user was erased, without the id",
)

current_users: Final = Table(
    "current_users",
    views,
    Column("id", _bytewise(), primary_key=True),
    Column("profile", JSONB, comment="flat, keys with their section's prefix"),
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
    Column("updated_stamp", _bytewise(), comment="stamp of the newest change"),
)
"""The users of now: neither deleted nor merged away."""

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
    Column("had_actor", Boolean, comment="whether an actor was named; then a null actor is a missing user"),
    Column("actor", _bytewise(), comment="the user who is the actor now; null: none or missing"),
    Column("occurred_at", DateTime(timezone=True)),
)
"""The activities that belong to a user now."""

owned_messages: Final = Table(
    "owned_messages",
    views,
    *(Column(column.name, column.type, primary_key=column.primary_key) for column in owned_activities.c),
    Column("channel", Text),
    Column("seen", Boolean),
    Column("read", Boolean),
    Column("interacted", Boolean),
    Column("archived", Boolean),
    Column("seen_at", DateTime(timezone=True), comment="when it was set last; null: it is not set"),
    Column("read_at", DateTime(timezone=True)),
    Column("interacted_at", DateTime(timezone=True)),
    Column("archived_at", DateTime(timezone=True)),
)
"""The messages that belong to a user now, with their engagements."""
