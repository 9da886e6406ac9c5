"""What a user's token may permit; the names are those of Knock's grants."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One thing that a browser may do for the user of its token."""

    USER_READ = "users/read"
    USER_WRITE = "users/write"
    PREFERENCES_READ = "preferences/read"
    PREFERENCES_WRITE = "preferences/write"
    CHANNEL_DATA_READ = "channel_data/read"
    CHANNEL_DATA_WRITE = "channel_data/write"
    FEED_READ = "users/feed_read"
    FEED_WRITE = "users/feed_write"
