"""Everything that the client reads, as values: statements and what their rows mean. No driver and no connection."""

from typing import TYPE_CHECKING

from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook.queries.dead_letters import (
        claim_dead_letter,
        claim_dead_letters,
        count_dead_letters,
        cursor_of,
        drop_dead_letter_of,
        drop_dead_letters,
        drop_dead_letters_of_code,
        find_dead_letter,
        find_dead_letters,
        release_dead_letters,
    )
    from rollbook.queries.deliveries import find_deliveries, find_deliveries_of_user, find_delivery
    from rollbook.queries.delivery_claims import claim_deliveries, has_due_deliveries
    from rollbook.queries.delivery_reports import cancel_delivery, report_deliveries, report_delivery, retry_delivery
    from rollbook.queries.delivery_validation import (
        checked_claim,
        checked_delivered_channel,
        checked_delivery_id,
        checked_delivery_list,
        checked_report,
        checked_reports,
    )
    from rollbook.queries.job_list import JobFilter, ListedState, find_jobs
    from rollbook.queries.jobs import (
        SentJob,
        cancel_job,
        find_deferred_jobs,
        find_finished_jobs,
        find_job_status,
        find_job_statuses,
    )
    from rollbook.queries.measurements import find_measurements
    from rollbook.queries.merge_preview import preview_merge
    from rollbook.queries.message_explanation import explain_message
    from rollbook.queries.message_filter import MessageFilter
    from rollbook.queries.message_selection import MessageSelection
    from rollbook.queries.messages import (
        find_activities,
        find_feed,
        find_message,
        find_messages,
        find_messages_by_ids,
        find_owned_ids,
    )
    from rollbook.queries.page_cursor import DEAD_LETTERS, DEFERRED_JOBS, HISTORY, parse_cursor
    from rollbook.queries.query import AsyncQueryRunner, Query, QueryRunner
    from rollbook.queries.user_explanation import explain_user
    from rollbook.queries.user_export import export_user
    from rollbook.queries.user_filter import UserFilter
    from rollbook.queries.user_list import UserCursor, UserSort, count_users, find_all_users, find_users
    from rollbook.queries.users import (
        find_channel_data,
        find_preference_set,
        find_preferences,
        find_user,
        find_users_by_ids,
    )
    from rollbook.queries.validation import (
        check_channel,
        check_choice,
        check_count_newest,
        check_page,
        check_since,
        checked_code,
        checked_drops,
        checked_job_id,
        checked_job_list,
        checked_message_id,
        checked_message_ids,
        checked_message_selection,
        checked_replays,
        checked_timeout,
        checked_user_filter,
        checked_user_id,
        checked_user_ids,
        checked_user_list,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook.queries.dead_letters": (
                "claim_dead_letter claim_dead_letters count_dead_letters cursor_of drop_dead_letter_of "
                "drop_dead_letters drop_dead_letters_of_code find_dead_letter find_dead_letters "
                "release_dead_letters"
            ),
            "rollbook.queries.deliveries": "find_deliveries find_deliveries_of_user find_delivery",
            "rollbook.queries.delivery_claims": "claim_deliveries has_due_deliveries",
            "rollbook.queries.delivery_reports": "cancel_delivery report_deliveries report_delivery retry_delivery",
            "rollbook.queries.delivery_validation": (
                "checked_claim checked_delivered_channel checked_delivery_id checked_delivery_list checked_report "
                "checked_reports"
            ),
            "rollbook.queries.job_list": "JobFilter ListedState find_jobs",
            "rollbook.queries.jobs": (
                "SentJob cancel_job find_deferred_jobs find_finished_jobs find_job_status find_job_statuses"
            ),
            "rollbook.queries.measurements": "find_measurements",
            "rollbook.queries.merge_preview": "preview_merge",
            "rollbook.queries.message_explanation": "explain_message",
            "rollbook.queries.message_filter": "MessageFilter",
            "rollbook.queries.message_selection": "MessageSelection",
            "rollbook.queries.messages": (
                "find_activities find_feed find_message find_messages find_messages_by_ids find_owned_ids"
            ),
            "rollbook.queries.page_cursor": "DEAD_LETTERS DEFERRED_JOBS HISTORY parse_cursor",
            "rollbook.queries.query": "AsyncQueryRunner Query QueryRunner",
            "rollbook.queries.user_explanation": "explain_user",
            "rollbook.queries.user_export": "export_user",
            "rollbook.queries.user_filter": "UserFilter",
            "rollbook.queries.user_list": "UserCursor UserSort count_users find_all_users find_users",
            "rollbook.queries.users": (
                "find_channel_data find_preference_set find_preferences find_user find_users_by_ids"
            ),
            "rollbook.queries.validation": (
                "check_channel check_choice check_count_newest check_page check_since checked_code checked_drops "
                "checked_job_id checked_job_list checked_message_id checked_message_ids checked_message_selection "
                "checked_replays checked_timeout checked_user_filter checked_user_id checked_user_ids "
                "checked_user_list"
            ),
        },
    )

__all__ = [
    "DEAD_LETTERS",
    "DEFERRED_JOBS",
    "HISTORY",
    "AsyncQueryRunner",
    "JobFilter",
    "ListedState",
    "MessageFilter",
    "MessageSelection",
    "Query",
    "QueryRunner",
    "SentJob",
    "UserCursor",
    "UserFilter",
    "UserSort",
    "cancel_delivery",
    "cancel_job",
    "check_channel",
    "check_choice",
    "check_count_newest",
    "check_page",
    "check_since",
    "checked_claim",
    "checked_code",
    "checked_delivered_channel",
    "checked_delivery_id",
    "checked_delivery_list",
    "checked_drops",
    "checked_job_id",
    "checked_job_list",
    "checked_message_id",
    "checked_message_ids",
    "checked_message_selection",
    "checked_replays",
    "checked_report",
    "checked_reports",
    "checked_timeout",
    "checked_user_filter",
    "checked_user_id",
    "checked_user_ids",
    "checked_user_list",
    "claim_dead_letter",
    "claim_dead_letters",
    "claim_deliveries",
    "count_dead_letters",
    "count_users",
    "cursor_of",
    "drop_dead_letter_of",
    "drop_dead_letters",
    "drop_dead_letters_of_code",
    "explain_message",
    "explain_user",
    "export_user",
    "find_activities",
    "find_all_users",
    "find_channel_data",
    "find_dead_letter",
    "find_dead_letters",
    "find_deferred_jobs",
    "find_deliveries",
    "find_deliveries_of_user",
    "find_delivery",
    "find_feed",
    "find_finished_jobs",
    "find_job_status",
    "find_job_statuses",
    "find_jobs",
    "find_measurements",
    "find_message",
    "find_messages",
    "find_messages_by_ids",
    "find_owned_ids",
    "find_preference_set",
    "find_preferences",
    "find_user",
    "find_users",
    "find_users_by_ids",
    "has_due_deliveries",
    "parse_cursor",
    "preview_merge",
    "release_dead_letters",
    "report_deliveries",
    "report_delivery",
    "retry_delivery",
]
