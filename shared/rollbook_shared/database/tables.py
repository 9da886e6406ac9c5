"""The tables in Postgres, as SQLAlchemy metadata. The migrations are the schema; a test compares the two.

All tables live in a Postgres schema of their own, so that Rollbook can share a database with the application, and with
other Rollbooks (see `rollbook_shared.database.schema`). Stamps and ids are compared byte by byte (collation "C"), as
the core compares them.

`triggers`, `activities` and `messages` are partitioned by their stamp. The primary key and the indexes described here
are those of each partition; the first of a table is named `messages_first`.

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
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from rollbook_shared.database.schema import DEFAULT_SCHEMA

metadata: Final = MetaData(schema=DEFAULT_SCHEMA)
views: Final = MetaData(schema=DEFAULT_SCHEMA)


def _bytewise() -> Text:
    return Text(collation="C")


def _computed(function: str, attribute: str) -> Computed:
    """A column that is made of an attribute as readers see it."""
    visible = f"cluster_root, resolved_profile, first_identified, profile, 'a.{attribute}'"
    return Computed(f"rollbook.{function}(rollbook.visible_attribute({visible}))", persisted=True)


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
    # of indexed columns, but not of indexed expressions. A hash takes a third of what the text would take in an index.
    Column("email_hash", Integer, _computed("email_hash", "email"), comment="of the e-mail address in lower case"),
    Column(
        "phone_number_hash",
        Integer,
        _computed("stored_phone_number_hash", "phone_number"),
        comment="with the optional index `phone_number`",
    ),
    Column(
        "email_key",
        _bytewise(),
        _computed("stored_email_key", "email"),
        comment="with the optional index `prefix`: the e-mail address without regard to case",
    ),
    Column(
        "name_key",
        _bytewise(),
        _computed("stored_name_key", "name"),
        comment="with the optional index `prefix`: the name without regard to case",
    ),
    Column(
        "created_key",
        BigInteger,
        _computed("stored_created_key", "created_at"),
        comment="with the optional index `created_at`: the attribute in microseconds since 1970",
    ),
    postgresql_with={"fillfactor": 80},
)
Index("users_cluster_root", users.c.cluster_root, postgresql_where=users.c.cluster_root.is_not(None))
Index("users_email", users.c.email_hash, postgresql_where=users.c.email_hash.is_not(None))

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

push_token_users: Final = Table(
    "push_token_users",
    metadata,
    Column("user_id", _bytewise(), primary_key=True),
    Column("channel_id", _bytewise(), primary_key=True),
    Column("token_hash", LargeBinary, primary_key=True, comment="first 16 bytes of its SHA-256"),
    Column("stamp", _bytewise(), nullable=False, comment="when it was sent last under this id"),
    comment="who sent a push token: of a token that several users have, the last one gets what is pushed to it",
)
Index("push_token_users_token", push_token_users.c.channel_id, push_token_users.c.token_hash, push_token_users.c.stamp)

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
    Column("trace", Text, comment="where it was sent, if that is recorded; the spans of senders continue it"),
    comment="what all activities and messages of one trigger share",
    postgresql_partition_by="RANGE (stamp)",
)
Index("triggers_actor", triggers.c.actor, triggers.c.stamp, postgresql_where=triggers.c.actor.is_not(None))

activities: Final = Table(
    "activities",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("job_id", _bytewise(), nullable=False),
    Column("stamp", _bytewise(), nullable=False),
    Column("recipient", _bytewise(), nullable=False, comment="the id as addressed; never rewritten"),
    postgresql_partition_by="RANGE (stamp)",
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
    postgresql_partition_by="RANGE (stamp)",
)
Index("messages_recipient", messages.c.recipient, messages.c.stamp)
Index("messages_job", messages.c.job_id)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("message_id", UUID(as_uuid=True), primary_key=True),
    Column("channel", _bytewise(), nullable=False, comment="the key in the registry"),
    Column("workflow", _bytewise(), nullable=False),
    Column("priority", SmallInteger, nullable=False, comment="of the workflow: 0 is claimed first"),
    Column("state", Text, nullable=False, comment="one of DeliveryState"),
    Column("reason", Text, comment="why it failed, was skipped, given up or cancelled"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="times that it was handed over"),
    Column("claims", Integer, nullable=False, server_default=text("0"), comment="claims; a report names its claim"),
    Column("due_at", DateTime(timezone=True), comment="when it may be claimed, or its lease ends; null: it is done"),
    Column("expires_at", DateTime(timezone=True), nullable=False, comment="from then on it is too old"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, comment="when the state changed"),
    Column("waits_for", _bytewise(), comment="of whom something must become known before it can be sent"),
    CheckConstraint(
        "state IN ('pending', 'claimed', 'failed', 'sent', 'delivered', 'undeliverable', 'skipped', 'cancelled')",
        name="deliveries_state",
    ),
    CheckConstraint("(due_at IS NOT NULL) = (state IN ('pending', 'claimed', 'failed'))", name="deliveries_due"),
    comment="the messages that leave",
)
Index(
    "deliveries_due_at",
    deliveries.c.channel,
    deliveries.c.priority,
    deliveries.c.workflow,
    deliveries.c.due_at,
    postgresql_where=deliveries.c.due_at.is_not(None),
)
Index(
    "deliveries_changed_at",
    deliveries.c.state,
    deliveries.c.changed_at,
    deliveries.c.message_id,
    postgresql_where=deliveries.c.due_at.is_(None),
)
Index(
    "deliveries_waits_for",
    deliveries.c.waits_for,
    deliveries.c.expires_at,
    postgresql_where=deliveries.c.waits_for.is_not(None),
)

delivery_rates: Final = Table(
    "delivery_rates",
    metadata,
    Column("channel", _bytewise(), primary_key=True),
    Column("allowance", Double, nullable=False, comment="how many may be claimed now"),
    Column("refilled_at", DateTime(timezone=True), nullable=False),
    comment="the rates of channels that have one",
)

unknown_recipients: Final = Table(
    "unknown_recipients",
    metadata,
    Column("stamp", _bytewise(), primary_key=True, comment="of the trigger"),
    Column("recipient", _bytewise(), primary_key=True, comment="the id as addressed"),
    comment="recipients that stood for no user at the trigger's stamp, until the erasure delay is over",
)
Index("unknown_recipients_recipient", unknown_recipients.c.recipient)

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

large_users: Final = Table(
    "large_users",
    metadata,
    Column("user_id", _bytewise(), primary_key=True, comment="the root of its cluster, or its own id"),
    Column("bytes", BigInteger, nullable=False, comment="all that was kept of it when it was last written"),
    comment="users of whom much is kept",
)
Index("large_users_bytes", large_users.c.bytes)

store: Final = Table(
    "store",
    metadata,
    Column("is_only", Boolean, CheckConstraint("is_only"), primary_key=True, server_default=text("true")),
    Column(
        "id",
        UUID(as_uuid=True),
        nullable=False,
        server_default=text("gen_random_uuid()"),
        comment="identifies this database beside its queues in Redis",
    ),
    comment="one row, which the migration makes",
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
    Column(
        "detail",
        JSONB,
        comment="of a bulk job counts and rejected users; of a trigger skipped recipients, or `too_old`",
    ),
    Column("user_ids", ARRAY(_bytewise()), comment="the users that a rejected or cancelled job names; null for others"),
    Column("requested_at", BigInteger, comment="when such a job was asked for, in microseconds since 1970"),
    Column("trace_id", UUID(as_uuid=True), comment="the trace in which it was published; null: it was not traced"),
    CheckConstraint("state IN ('applied', 'rejected', 'deferred', 'cancelled')", name="jobs_state"),
    comment="the state of each job",
)
Index("jobs_finished_at", jobs.c.finished_at, postgresql_where=jobs.c.state.in_(["applied", "rejected"]))
Index("jobs_state", jobs.c.state, jobs.c.finished_at, postgresql_where=jobs.c.state != "applied")
Index("jobs_kind", jobs.c.kind, jobs.c.finished_at, postgresql_where=jobs.c.kind != "identify")
Index("jobs_users", jobs.c.user_ids, postgresql_using="gin", postgresql_where=jobs.c.user_ids.is_not(None))
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
    Column("body", LargeBinary, nullable=False, comment="the message as it came, but without users erased since"),
    Column("user_ids", ARRAY(_bytewise()), nullable=False, comment="the users that the message names"),
    Column("requested_at", BigInteger, comment="when its job was asked for, in microseconds since 1970; null: unknown"),
    Column("failed_at", DateTime(timezone=True), nullable=False),
    Column("trace_id", UUID(as_uuid=True), comment="the trace in which it was published; null: it was not traced"),
    Column("replaying_until", DateTime(timezone=True), comment="until then one replay has it; null: none has"),
    comment="jobs that cannot be applied as they stand",
)
Index("dead_letters_failed_at", dead_letters.c.failed_at, dead_letters.c.id, dead_letters.c.digest)
Index("dead_letters_code", dead_letters.c.code, dead_letters.c.failed_at, dead_letters.c.id, dead_letters.c.digest)
Index("dead_letters_users", dead_letters.c.user_ids, postgresql_using="gin")

deferred_jobs: Final = Table(
    "deferred_jobs",
    metadata,
    Column("id", _bytewise(), primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False, comment="the encoded job, without users erased since"),
    Column("user_ids", ARRAY(_bytewise()), nullable=False, comment="the users that the job names"),
    Column("requested_at", BigInteger, nullable=False, comment="when it was asked for, in microseconds since 1970"),
    Column("trace", Text, comment="where it was sent, for the spans of its deliveries; null: it was not traced"),
    comment="jobs that take effect at a later time, until then",
)
Index("deferred_jobs_due_at", deferred_jobs.c.due_at, deferred_jobs.c.id)
Index("deferred_jobs_users", deferred_jobs.c.user_ids, postgresql_using="gin")

measurements: Final = Table(
    "measurements",
    metadata,
    Column("measured_at", DateTime(timezone=True), primary_key=True, comment="a multiple of ten seconds"),
    Column("figures", JSONB, nullable=False, comment="what waited, and what was done in the ten seconds before"),
    comment="figures of the last hour",
)

erasure_receipts: Final = Table(
    "erasure_receipts",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True, comment="keyed hash of the erased id"),
    Column("stamp", _bytewise(), primary_key=True, comment="stamp of the delete"),
    Column("erased", JSONB, nullable=False, comment="rows erased per table"),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    comment="that a deleted user was erased, without the id",
)

erasure_keys: Final = Table(
    "erasure_keys",
    metadata,
    Column("key_hash", LargeBinary, primary_key=True),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    comment="hashes of the keys with which receipts were written",
)

console_accounts: Final = Table(
    "console_accounts",
    metadata,
    Column("name", _bytewise(), primary_key=True),
    Column("password_hash", Text, comment="Argon2id, with its parameters; null: no password"),
    Column("role", Text, nullable=False, comment="reader, operator or admin"),
    Column("sees_personal_data", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("role IN ('reader', 'operator', 'admin')", name="console_accounts_role"),
    comment="who may use the console",
)

console_sessions: Final = Table(
    "console_sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True, comment="SHA-256 of the random token in the cookie"),
    Column("account", _bytewise(), ForeignKey(console_accounts.c.name, ondelete="CASCADE"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("last_seen_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    comment="who is logged in to the console",
)
Index("console_sessions_account", console_sessions.c.account)
Index("console_sessions_expires_at", console_sessions.c.expires_at)

console_login_tokens: Final = Table(
    "console_login_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True, comment="SHA-256 of the random token in the link"),
    Column("account", _bytewise(), ForeignKey(console_accounts.c.name, ondelete="CASCADE"), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    comment="links that log in to the console once",
)
Index("console_login_tokens_account", console_login_tokens.c.account)
Index("console_login_tokens_expires_at", console_login_tokens.c.expires_at)

console_audit: Final = Table(
    "console_audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("account", _bytewise(), comment="who did it; null: without a login"),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False, comment="begun, done, rejected or failed"),
    Column("user_ids", ARRAY(_bytewise()), comment="the users whom it concerns, without those erased since"),
    Column("target", Text, comment="what else it concerns, such as the id of a delivery; never a value of a user"),
    Column("job_id", _bytewise(), comment="the job that it sent"),
    Column("reason", Text, comment="what the account gave as reason, or why it was rejected"),
    CheckConstraint("outcome IN ('begun', 'done', 'rejected', 'failed')", name="console_audit_outcome"),
    comment="what was done in the console",
)
Index("console_audit_at", console_audit.c.at)
Index("console_audit_account", console_audit.c.account, console_audit.c.id)
Index("console_audit_action", console_audit.c.action, console_audit.c.id)
Index(
    "console_audit_users",
    console_audit.c.user_ids,
    postgresql_using="gin",
    postgresql_where=console_audit.c.user_ids.is_not(None),
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
