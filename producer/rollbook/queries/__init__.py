"""Everything that the client reads, as values: statements and what their rows mean. No driver and no connection."""

from rollbook.queries.dead_letters import drop_dead_letter, find_dead_letters, find_dead_letters_of
from rollbook.queries.job_list import JobFilter, ListedState, find_jobs
from rollbook.queries.jobs import cancel_job, find_deferred_jobs, find_finished_jobs, find_job_status
from rollbook.queries.merge_preview import preview_merge
from rollbook.queries.messages import find_activities, find_feed, find_message, find_messages
from rollbook.queries.query import Query, QueryRunner
from rollbook.queries.user_export import export_user
from rollbook.queries.user_filter import UserFilter
from rollbook.queries.user_list import UserCursor, UserSort, count_users, find_all_users, find_users
from rollbook.queries.users import find_channel_data, find_preferences, find_user

__all__ = [
    "JobFilter",
    "ListedState",
    "Query",
    "QueryRunner",
    "UserCursor",
    "UserFilter",
    "UserSort",
    "cancel_job",
    "count_users",
    "drop_dead_letter",
    "export_user",
    "find_activities",
    "find_all_users",
    "find_channel_data",
    "find_dead_letters",
    "find_dead_letters_of",
    "find_deferred_jobs",
    "find_feed",
    "find_finished_jobs",
    "find_job_status",
    "find_jobs",
    "find_message",
    "find_messages",
    "find_preferences",
    "find_user",
    "find_users",
    "preview_merge",
]
