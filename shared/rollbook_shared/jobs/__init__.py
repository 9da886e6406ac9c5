"""The wire contract: every kind of job, its fields, its JSON and its queue. No broker and no database."""

from typing import TYPE_CHECKING

from rollbook_shared.lazy_names import lazy_names

if TYPE_CHECKING:
    from rollbook_shared.jobs.codec import decode, digest, encode, encode_user, text_digest
    from rollbook_shared.jobs.models import (
        KINDS,
        MAX_TIMESTAMP,
        MODELS,
        AddPushToken,
        BulkDelete,
        BulkIdentify,
        BulkSetPreferences,
        Delete,
        Identify,
        Job,
        Mark,
        MarkAll,
        Merge,
        Recipient,
        RemovePushToken,
        SetChannelData,
        SetPreferences,
        Trigger,
        UnsetChannelData,
        UnsetPreferences,
        UpdatePreferences,
        UserIds,
        UserUpdate,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "rollbook_shared.jobs.codec": "decode digest encode encode_user text_digest",
            "rollbook_shared.jobs.models": (
                "AddPushToken BulkDelete BulkIdentify BulkSetPreferences Delete Identify Job KINDS MAX_TIMESTAMP "
                "MODELS Mark MarkAll Merge Recipient RemovePushToken SetChannelData SetPreferences Trigger "
                "UnsetChannelData UnsetPreferences UpdatePreferences UserIds UserUpdate"
            ),
        },
    )

__all__ = [
    "KINDS",
    "MAX_TIMESTAMP",
    "MODELS",
    "AddPushToken",
    "BulkDelete",
    "BulkIdentify",
    "BulkSetPreferences",
    "Delete",
    "Identify",
    "Job",
    "Mark",
    "MarkAll",
    "Merge",
    "Recipient",
    "RemovePushToken",
    "SetChannelData",
    "SetPreferences",
    "Trigger",
    "UnsetChannelData",
    "UnsetPreferences",
    "UpdatePreferences",
    "UserIds",
    "UserUpdate",
    "decode",
    "digest",
    "encode",
    "encode_user",
    "text_digest",
]
